import { expect, test } from 'vitest'
import { value } from './parser.ts'
import { establishedSockets, listeningSockets } from './sockets.ts'
import { refused } from './table.ts'

test('ss -H -tulnp', () => {
  const sockets = value(
    listeningSockets(`udp UNCONN 0      0            0.0.0.0:8472  0.0.0.0:*
tcp LISTEN 0      511          0.0.0.0:8081  0.0.0.0:* users:(("nginx",pid=5848,fd=5),("nginx",pid=5847,fd=5))
tcp LISTEN 0      4096               *:6443        *:* users:(("kube-apiserver",pid=6750,fd=3))
tcp LISTEN 0      128            [::1]:631       [::]:*
`),
  )
  expect(
    sockets.map(({ protocol, localAddress, localPort, sendQueue, processes }) => [
      protocol,
      localAddress,
      localPort,
      sendQueue,
      processes.map(({ name, pid }) => `${name}/${pid}`),
    ]),
  ).toEqual([
    ['udp', '0.0.0.0', 8472, 0, []],
    ['tcp', '0.0.0.0', 8081, 511, ['nginx/5848', 'nginx/5847']],
    ['tcp', '*', 6443, 4096, ['kube-apiserver/6750']],
    ['tcp', '::1', 631, 128, []],
  ])
})

test('ss -H -tnp state established', () => {
  const sockets = value(
    establishedSockets(`0      0                   127.0.0.1:50668             127.0.0.1:6443  users:(("kubelet",pid=4666,fd=13))
0      0      [::ffff:192.168.10.14]:22    [::ffff:192.168.10.1]:46344 users:(("sshd",pid=6190,fd=4))
`),
  )
  expect(sockets.map(({ localAddress, peerAddress, peerPort }) => [localAddress, peerAddress, peerPort])).toEqual([
    ['127.0.0.1', '127.0.0.1', 6443],
    ['192.168.10.14', '192.168.10.1', 46344],
  ])
})

test('refuses what ss does not print', () => {
  refused(listeningSockets, 'tcp LISTEN none', 'line 1: not a listening socket: "tcp LISTEN none"')
  refused(listeningSockets, 'tcp LISTEN 0 1 *:1 *:* users:(())', /^line 1: not a process list/)
  refused(establishedSockets, 'garbage', 'line 1: not an established socket: "garbage"')
})
