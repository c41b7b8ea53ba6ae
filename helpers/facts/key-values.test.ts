import { expect, test } from 'vitest'
import { envFile, liveSysctls, sysctlFile, systemdProperties } from './key-values.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

test('sysctl -a', () => {
  const values = value(
    liveSysctls('net.ipv4.ip_forward = 1\nkernel.panic_sys_info = \nnet.ipv4.ip_local_reserved_ports = 30000-32767\n'),
  )
  expect([...values]).toEqual([
    ['net.ipv4.ip_forward', '1'],
    ['kernel.panic_sys_info', ''],
    ['net.ipv4.ip_local_reserved_ports', '30000-32767'],
  ])
  refused(liveSysctls, '', 'empty: no sysctl')
})

test('sysctl.conf, with comments, spaces, a leading minus and CRLF', () => {
  const values = value(sysctlFile('# a = b\r\n; c\r\nnet.ipv4.ip_forward=1\r\n-vm.panic_on_oom = 0 \n'))
  expect([...values]).toEqual([
    ['net.ipv4.ip_forward', '1'],
    ['vm.panic_on_oom', '0'],
  ])
  refused(sysctlFile, 'x\n', 'line 1: not a sysctl: "x"')
})

test('systemctl show', () => {
  expect(value(systemdProperties('Restart=always\nType=\n')).get('Type')).toBe('')
})

test('environment files: quotes, exports, joined lines, values over several lines', () => {
  const env = value(
    envFile(
      '# c\nexport A="--node-ip=1.2.3.4"\nB=\'x y\'\nKUBELET_ARGS="--a=1 \\\n--b=2 \\\n "\nID=debian\nC="1\n2"\n',
    ),
  )
  expect([...env]).toEqual([
    ['A', '--node-ip=1.2.3.4'],
    ['B', 'x y'],
    ['KUBELET_ARGS', '--a=1  --b=2'],
    ['ID', 'debian'],
    ['C', '1 2'],
  ])
  refused(envFile, '1=2', 'line 1: not a variable: "1=2"')
})
