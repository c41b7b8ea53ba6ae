import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { commandSource, fileSource, pathOf } from './format.ts'
import { importRaw } from './import-raw.ts'
import { openRecording } from './open.ts'
import { saveRecording, writeRecording } from './write.ts'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'recording-'))
})
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

const shipped = 'recordings/case1-remediated'
const copy = () => {
  const dir = join(scratch, 'copy')
  cpSync(shipped, dir, { recursive: true })
  return dir
}

test('what is written is what is opened, any bytes in any name', () => {
  const dir = join(scratch, 'r')
  writeRecording(dir, {
    manifest: {
      suite: '0',
      recordedAt: '2026-01-01T00:00:00.000Z',
      apiReadAt: '2026-01-01T00:00:01.000Z',
      target: 't',
      complete: false,
    },
    nodes: {
      n1: {
        startedAt: 1,
        finishedAt: 2,
        commands: {
          ss: { command: 'ss -H', exitCode: null, seconds: 1, timedOut: true, stdout: 'a\r\n\u0000é', stderr: 'e' },
        },
        files: { '/etc/a b:c~': { mode: '0640', content: 'x' }, '/gone': { absent: 'no such file' } },
      },
      n2: 'connection refused',
    },
    texts: { 'api/a.json': '{}', 'controller/inventory/hosts': '' },
  })
  const recording = openRecording(dir)
  expect(recording.nodes).toEqual(['n1', 'n2'])
  expect(recording.get('nodes/n1/commands/ss')).toMatchObject({
    timedOut: true,
    exitCode: null,
    stdout: 'a\r\n\u0000é',
    stderr: 'e',
  })
  expect(recording.get('nodes/n1/files/etc/a b:c~')).toMatchObject({ content: 'x', mode: '0640' })
  expect(recording.get('nodes/n1/files/gone')).toMatchObject({ absent: 'no such file' })
  expect(recording.get('nodes/n2/collection')).toMatchObject({ content: '{"unreachable":"connection refused"}' })
  expect(recording.apiReadAt - recording.recordedAt).toBe(1000)
  expect(pathOf(fileSource('n1', '/etc/a b:c~'), undefined)).toBe('nodes/n1/files/etc/a%20b%3Ac~')
  expect(pathOf(commandSource('n1', '..'), undefined)).toBe('nodes/n1/commands/%2E%2E')
  expect(() => writeRecording(dir, { manifest: recording.manifest, nodes: {}, texts: {} })).toThrow(
    `${dir}: exists and is not empty`,
  )
})

test('a recording that is saved again is the same', () => {
  const dir = join(scratch, 'again')
  const original = openRecording(shipped)
  saveRecording(dir, original)
  const again = openRecording(dir)
  expect(again.sources()).toEqual(original.sources())
  expect(again.manifest.digests['nodes/k8s-node4/files/etc/nginx/nginx.conf']).toBe(
    original.manifest.digests['nodes/k8s-node4/files/etc/nginx/nginx.conf'],
  )
})

test.each([
  [
    'none',
    () => 'no/such/recording',
    'no/such/recording: no such recording. Give the folder that holds its manifest.json.',
  ],
  ['a file', () => 'package.json', 'package.json: not a folder. A recording is a folder with a manifest.json.'],
  [
    'another folder',
    () => 'specs',
    'specs: not a recording: it has no manifest.json (it is written last: if collecting was interrupted, record again).',
  ],
])('%s is refused', (_, dir, message) => expect(() => openRecording(dir())).toThrow(message))

test.each<[string, (dir: string) => void, RegExp]>([
  [
    'a changed file',
    dir => writeFileSync(join(dir, 'nodes/k8s-node4/files/etc/nginx/nginx.conf'), 'x'),
    /nodes\/k8s-node4\/files\/etc\/nginx\/nginx\.conf: does not match its digest in manifest\.json \(1 bytes\)/,
  ],
  [
    'a missing file',
    dir => rmSync(join(dir, 'api/nodes.json')),
    /api\/nodes\.json: is in the manifest but can not be read\. The recording is incomplete/,
  ],
  [
    'a file too many',
    dir => writeFileSync(join(dir, 'api/secrets.json'), ''),
    /api\/secrets\.json: is not in manifest\.json\. Remove it/,
  ],
  [
    'a newer format',
    dir => edit(dir, manifest => ({ ...manifest, format: 2 })),
    /manifest\.json: recording format 2 is newer than this suite, which reads up to 1\. Update the suite\./,
  ],
  [
    'a manifest without digests',
    dir => edit(dir, manifest => ({ ...manifest, digests: undefined })),
    /manifest\.json: digests: /,
  ],
  [
    'a cut manifest',
    dir => writeFileSync(join(dir, 'manifest.json'), '{"format": 1'),
    /manifest\.json: not JSON .*The recording is damaged/,
  ],
])('%s is refused by name', (_, damage, message) => {
  const dir = copy()
  damage(dir)
  expect(() => openRecording(dir)).toThrow(message)
})

function edit(dir: string, change: (manifest: Record<string, unknown>) => unknown): void {
  const file = join(dir, 'manifest.json')
  writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>)))
}

test('the importer refuses private keys and drops the signatures of bootstrap tokens', () => {
  const raw = join(scratch, 'raw')
  for (const folder of ['nodes', 'api', 'controller']) mkdirSync(join(raw, folder), { recursive: true })
  const node = (content: string) =>
    JSON.stringify({
      node: 'n',
      startedAt: 1,
      finishedAt: 2,
      commands: { a: { command: ['ls', '-l'], exitCode: 0, stdout: 'x', stderr: null } },
      files: { '/f': { mode: '0o600', owner: 'root', group: 'root', size: 1, mtime: 1, sha256: 'other', content } },
    })
  writeFileSync(join(raw, 'nodes/n.json'), node('fine'))
  writeFileSync(
    join(raw, 'api/configmaps.json'),
    '{"items":[{"data":{"jws-kubeconfig-abcdef":"eyJ..sig"},"metadata":{"managedFields":[1]}}]}',
  )
  writeFileSync(join(raw, 'api/readyz.txt'), '[+]ping ok\n')
  importRaw(raw, join(scratch, 'out'), '0')
  const recording = openRecording(join(scratch, 'out'))
  expect(recording.get('api/configmaps.json')).toMatchObject({ content: expect.stringContaining('REDACTED') as string })
  expect(recording.get('nodes/n/files/f')).toMatchObject({ mode: '0600', redacted: true })
  expect(recording.get('nodes/n/commands/a')).toMatchObject({ command: 'ls -l' })
  writeFileSync(join(raw, 'nodes/n.json'), node('-----BEGIN RSA PRIVATE KEY-----\n'))
  expect(() => importRaw(raw, join(scratch, 'out2'), '0')).toThrow(/holds a private key/)
  writeFileSync(join(raw, 'nodes/n.json'), '{}')
  expect(() => importRaw(raw, join(scratch, 'out3'), '0')).toThrow(/nodes\/n\.json: not a raw node/)
  expect(() => importRaw(join(scratch, 'absent'), join(scratch, 'out4'), '0')).toThrow(/not a raw recording/)
})
