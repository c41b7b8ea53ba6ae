import { spawnSync } from 'node:child_process'
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FileProbe, NodeProbes, Probe } from '../evidence/probes.ts'
import { FrameReader } from './frames.ts'
import { MOST_BYTES, render } from './script.ts'

const NONCE = '0123456789abcdef'
const command = (id: string, text: string, limit = 5): Probe => ({ id, command: text, limit, root: false })
const file = (path: string, keep: FileProbe['keep'] = 'content'): FileProbe => ({ path, keep, root: false })

function answerOf(probes: NodeProbes, shell = '/bin/sh'): Buffer {
  const { stdout, status } = spawnSync(shell, ['-s'], { input: render(probes, NONCE), maxBuffer: 1 << 30 })
  expect(status).toBe(0)
  return stdout
}

function read(probes: NodeProbes, answer = answerOf(probes), size = 4096) {
  const reader = new FrameReader(probes, NONCE)
  for (let at = 0; at < answer.length; at += size) reader.feed(answer.subarray(at, at + size))
  const { commands, files, missing } = reader.answer
  return { commands, files, missing, ended: reader.ended }
}

test('a command is told with both outputs, its status and how long it ran', () => {
  const probes = { commands: [command('both', 'echo out; echo err >&2; exit 3'), command('quiet', ':')], files: [] }
  const { commands, ended } = read(probes)
  expect(ended).toBe(true)
  expect(commands['both']).toMatchObject({ exitCode: 3, stdout: 'out\n', stderr: 'err\n' })
  expect(commands['quiet']).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
})

test('a command that never ends is ended at its limit', () => {
  const began = Date.now()
  const { commands } = read({ commands: [command('sleeps', 'echo begun; sleep 1000', 1)], files: [] })
  expect(Date.now() - began).toBeLessThan(4_000)
  expect(commands['sleeps']).toMatchObject({ exitCode: null, timedOut: true, stdout: 'begun\n' })
})

test('200 MB of output are cut at the limit and marked', () => {
  const { commands } = read({ commands: [command('big', 'head -c 200000000 /dev/zero | tr "\\0" x')], files: [] })
  expect(commands['big']).toMatchObject({ truncated: true })
  expect(commands['big']?.stdout).toHaveLength(MOST_BYTES)
})

test('a command that is missing, and quotes in one, are told', () => {
  const { commands } = read({
    commands: [command('none', 'no-such-command'), command('quotes', `echo 'a'"b" \\$c`)],
    files: [],
  })
  expect(commands['none']?.exitCode).toBe(127)
  expect(commands['quotes']?.stdout).toBe('ab $c\n')
})

test('files: status, link, digest and content; absent, special and secret ones without content', () => {
  const folder = mkdtempSync(join(tmpdir(), 'files-'))
  writeFileSync(join(folder, 'plain'), 'text\n', { mode: 0o640 })
  writeFileSync(join(folder, 'member-key.pem'), 'secret')
  writeFileSync(join(folder, 'script'), 'echo')
  symlinkSync('plain', join(folder, 'link'))
  const paths = ['plain', 'link', 'absent', 'member-*.pem'].map(name => file(join(folder, name)))
  const { files } = read({ commands: [], files: [...paths, file(join(folder, 'script'), 'digest'), file('/dev/null')] })
  expect(files[join(folder, 'plain')]).toMatchObject({
    mode: '0640',
    size: 5,
    content: 'text\n',
    sha256: expect.stringMatching(/^\w{64}$/) as string,
  })
  expect(files[join(folder, 'link')]).toMatchObject({ linkTarget: 'plain', content: 'text\n' })
  expect(files[join(folder, 'absent')]).toEqual({ absent: 'no such file' })
  expect(files[join(folder, 'member-key.pem')]).toMatchObject({ withheld: 'private key material' })
  expect(files[join(folder, 'member-key.pem')]).not.toHaveProperty('sha256')
  expect(files[join(folder, 'script')]).toMatchObject({ withheld: 'script text; digest only' })
  expect(files['/dev/null']).toEqual({ withheld: 'not a plain file' })
})

test('bash reads the script as sh does', () => {
  const probes = { commands: [command('a', 'echo a')], files: [file('/etc/hostname')] }
  expect(read(probes, answerOf(probes, '/bin/bash')).commands['a']?.stdout).toBe('a\n')
})

test('any bytes in any output survive, in pieces of any size', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 100 }),
      fc.integer({ min: 1, max: 500 }),
      (out, err, size) => {
        const octal = (bytes: Uint8Array) => [...bytes].map(byte => `\\${byte.toString(8).padStart(3, '0')}`).join('')
        const probes = {
          commands: [
            command('bytes', `printf '${octal(out)}'; printf '${octal(err)}' >&2`),
            command('after', 'echo whole'),
          ],
          files: [],
        }
        const { commands } = read(probes, answerOf(probes), size)
        expect(commands['bytes']?.stdout).toBe(Buffer.from(out).toString('utf8'))
        expect(commands['bytes']?.stderr).toBe(Buffer.from(err).toString('utf8'))
        expect(commands['after']?.stdout).toBe('whole\n')
      },
    ),
    { numRuns: 40 },
  )
})

test('what a shell prints before the first frame is passed over', () => {
  const probes = { commands: [command('a', 'echo a')], files: [] }
  const garbage = Buffer.concat([Buffer.from('Welcome!\n@0123 start 0\n'), answerOf(probes)])
  expect(read(probes, garbage).commands['a']?.stdout).toBe('a\n')
})

test('an answer that was changed on its way is refused, never misread', () => {
  const probes = { commands: [command('a', 'echo a'), command('b', 'echo b')], files: [] }
  const answer = answerOf(probes)
  const whole = JSON.stringify(read(probes, answer).commands)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: answer.length - 1 }), at => {
      // Without the byte: the lengths no longer hold, whatever it was.
      const changed = Buffer.concat([answer.subarray(0, at), answer.subarray(at + 1)])
      const reader = new FrameReader(probes, NONCE)
      try {
        reader.feed(changed)
      } catch (error) {
        expect((error as Error).name).toBe('Garbled')
        return
      }
      if (reader.ended)
        expect(JSON.stringify(reader.answer.commands).replaceAll(/"seconds":-?[\d.]+/g, '')).toBe(
          whole.replaceAll(/"seconds":-?[\d.]+/g, ''),
        )
    }),
    { numRuns: 300 },
  )
})
