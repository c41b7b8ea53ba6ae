import { expect, test } from 'vitest'
import { hostsFile, resolvConf, resolvedAddresses } from './name-service.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

test('hosts', () => {
  const hosts = value(
    hostsFile(
      '127.0.0.1\tlocalhost # here\n\n# Ansible inventory hosts BEGIN\n192.168.10.11 k8s-node1 k8s-node1.cluster.local\nfe80::1%eth0 link\n',
    ),
  )
  expect(hosts.ansibleBlock).toBe(true)
  expect(hosts.entries[1]).toEqual({ address: '192.168.10.11', names: ['k8s-node1', 'k8s-node1.cluster.local'] })
  refused(hostsFile, '', 'empty: no hosts entry')
  refused(hostsFile, 'localhost 127.0.0.1', 'line 1: not an address: "localhost"')
  refused(hostsFile, '127.0.0.1', 'line 1: not a hosts entry: "127.0.0.1"')
})

test('resolv.conf', () => {
  const conf = value(
    resolvConf(
      '# c\ndomain cluster.local\nsearch default.svc.cluster.local svc.cluster.local\nnameserver 10.233.0.3\nnameserver 192.168.10.1\noptions ndots:2 timeout:2\n',
    ),
  )
  expect(conf).toEqual({
    nameservers: ['10.233.0.3', '192.168.10.1'],
    search: ['default.svc.cluster.local', 'svc.cluster.local'],
    options: ['ndots:2', 'timeout:2'],
  })
  expect(value(resolvConf('domain a.b\n')).search).toEqual(['a.b'])
  refused(resolvConf, '', 'empty: no resolver line')
  refused(resolvConf, 'servers 1.2.3.4', 'line 1: not a resolver line: "servers 1.2.3.4"')
})

test('getent ahosts', () => {
  expect(
    value(
      resolvedAddresses(
        '127.0.0.1       STREAM localhost\n127.0.0.1       DGRAM  \n::1             STREAM localhost\n',
      ),
    ),
  ).toEqual(['127.0.0.1', '::1'])
  refused(resolvedAddresses, '', 'empty: no address')
})
