import { createHmac } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keyPair } from '../../lab/key-pair.ts'
import { fingerprint, KnownHosts } from './known-hosts.ts'

const [one, other] = [keyPair().public, keyPair().public]
const bytes = (line: string) => Buffer.from(line.split(' ')[1] ?? '', 'base64')
const folder = mkdtempSync(join(tmpdir(), 'known-hosts-'))

function known(...lines: string[]): KnownHosts {
  const file = join(folder, 'known_hosts')
  writeFileSync(file, `# comment\n\n${lines.join('\n')}\n`)
  return new KnownHosts([file, join(folder, 'absent')])
}

function hashed(name: string): string {
  const salt = Buffer.from('salt of twenty bytes')
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`
}

test.each([
  ['by name', `node1 ${one}`, 'node1', 22],
  ['whatever the case', `Node1 ${one}`, 'NODE1', 22],
  ['among several', `node0,192.0.2.11,node1 ${one}`, '192.0.2.11', 22],
  ['by pattern', `*.example.org,!bad.example.org ${one}`, 'node1.example.org', 22],
  ['with its port', `[node1]:2222 ${one}`, 'node1', 2222],
  ['hashed', `${hashed('node1')} ${one}`, 'node1', 22],
  ['hashed with its port', `${hashed('[node1]:2222')} ${one}`, 'node1', 2222],
])('a key that is known %s passes', (_, line, host, port) => {
  expect(() => known(line).verify(host, port, bytes(one))).not.toThrow()
})

test.each([
  ['none is known', [`node2 ${one}`], /^unknown host key: it shows (SHA256:\S+), none is known for node1/],
  ['the port is another', [`[node1]:2222 ${one}`], /^unknown host key/],
  ['a pattern excludes it', [`!node1,* ${one}`], /^unknown host key/],
  [
    'only an authority is known',
    [`@cert-authority node1 ${other}`],
    /names a certificate authority for it, which can not be checked here/,
  ],
  ['it is revoked', [`node1 ${one}`, `@revoked node1 ${one}`], /marked @revoked/],
  ['another one is known', [`node1 ${other}`], /^host key changed: it shows .*, known is .* \(.*known_hosts:3\)/],
])('a key is refused where %s', (_, lines, message) => {
  expect(() => known(...lines).verify('node1', 22, bytes(one))).toThrow(message)
})

test('both fingerprints are shown as ssh-keygen prints them', () => {
  expect(() => known(`node1 ${other}`).verify('node1', 22, bytes(one))).toThrow(fingerprint(bytes(one)))
  expect(() => known(`node1 ${other}`).verify('node1', 22, bytes(one))).toThrow(fingerprint(bytes(other)))
  expect(fingerprint(bytes(one))).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/)
})

test('the server is asked for a type of key that is known', () => {
  expect(
    known(`node1 ${one}`, '[node1]:2222 ssh-rsa AAAA', '@revoked node1 ssh-dss AAAA').typesOf('node1', 22),
  ).toEqual(['ssh-ed25519'])
})
