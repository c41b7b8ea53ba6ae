import { expect, test } from 'vitest'
import { nginxConf, nginxConfDigest } from './nginx-conf.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

const conf = `error_log stderr notice;
worker_processes 2; # two
stream {
  upstream kube_apiserver {
    least_conn;
    server 192.168.10.11:6443;
    server 192.168.10.12:6443 weight=2;
    }
  server { listen 127.0.0.1:6443; proxy_pass kube_apiserver; }
}
http {
  server {
    location /healthz { access_log off; return 200 "it's \\"up\\""; }
    location /other { add_header X 'a b'; }
  }
}
`

test('nested blocks, one-line blocks, comments and quotes', () => {
  const block = value(nginxConf(conf))
  expect(block.value('error_log')).toBe('stderr notice')
  expect(block.value('worker_processes')).toBe('2')
  expect(block.value('absent')).toBeUndefined()
  const upstream = block.block('stream').block('upstream', 'kube_apiserver')
  expect(upstream.all('server').map(({ args, line }) => [args, line])).toEqual([
    [['192.168.10.11:6443'], 6],
    [['192.168.10.12:6443', 'weight=2'], 7],
  ])
  expect(block.block('stream').block('server').value('proxy_pass')).toBe('kube_apiserver')
  expect(block.block('http').block('server').block('location', '/healthz').all('return')[0]?.args[0]).toBe('200')
  expect(block.block('stream').block('upstream', 'other').directives).toEqual([])
})

test('the digest is that of the bytes, of a configuration only', () => {
  expect(value(nginxConfDigest('a b;\n'))).toBe('d935285bab3416454d0496ebabd0fdd9519ea27d')
  refused(nginxConfDigest, '}', /without a block/)
})

test.each([
  ['', 'no directive'],
  ['stream {', 'line 1: a block is not closed'],
  ['}', 'line 1: "}" without a block'],
  ['listen 1', 'line 1: a directive is not ended by ";"'],
  ['listen 1 }', 'line 1: "}" within a directive'],
  ['\n;', 'line 2: not a directive before ";"'],
  ['LISTEN 1;', 'line 1: not a directive before ";"'],
  ['a "b;', 'line 1: a quote is not closed'],
  ['a {'.repeat(80), /nested too deep/],
])('refuses %j', (text, message) => refused(nginxConf, text, message))
