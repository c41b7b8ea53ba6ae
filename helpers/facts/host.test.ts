import { expect, test } from 'vitest'
import * as host from './host.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'
import { gitDescription, kubectlVersion, programVersion } from './versions.ts'

test('words and times', () => {
  expect(value(host.word('masked\n'))).toBe('masked')
  refused(host.word, 'two words', 'not one word: "two words"')
  expect(value(host.clock('1795388477.653463487\n'))).toBeCloseTo(1795388477653.46, 1)
  refused(host.clock, '22:00', 'not a time: "22:00"')
  expect(value(host.collection('{"startedAt":1,"finishedAt":2}'))).toEqual({
    unreachable: undefined,
    startedAt: 1000,
    finishedAt: 2000,
  })
  expect(value(host.collection('{"unreachable":"refused"}')).unreachable).toBe('refused')
})

test('memory, swap, file systems, disks', () => {
  expect(value(host.memoryInfo('MemTotal:       24684084 kB\nHugePages_Total:       0\n')).get('MemTotal')).toBe(
    24684084,
  )
  expect(
    value(host.swaps('Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/sda2  partition  2097148  0  -2\n')),
  ).toEqual(['/dev/sda2'])
  refused(host.swaps, '', 'not /proc/swaps')
  expect(value(host.fileSystemTable('# UNCONFIGURED\n/dev/sda2 none swap sw 0 0\n'))).toEqual([
    { device: '/dev/sda2', mountPoint: 'none', type: 'swap' },
  ])
  const df =
    'Filesystem     1024-blocks     Used Available Capacity Mounted on\noverlay          264212084 38751984  56749280      41% /\n'
  expect(value(host.diskUse(df))).toEqual([{ size: 264212084 * 1024, percent: 41, mountPoint: '/' }])
  refused(host.diskUse, 'x', 'not the output of df')
})

test('packages of Debian and of RedHat', () => {
  expect([
    ...value(host.installedPackages('conntrack 1:1.4.7-1+b2 install ok installed\nrunc 1 deinstall ok config-files\n')),
  ]).toEqual(['conntrack'])
  expect([
    ...value(host.installedPackages('conntrack-tools-1.4.8-3.el10.x86_64\npackage ipvsadm is not installed\n')),
  ]).toEqual(['conntrack-tools'])
  refused(host.installedPackages, '', 'empty: no package')
  refused(host.installedPackages, '?', 'line 1: not a package: "?"')
})

test('digests, modules, kernel, rules, units, devices', () => {
  expect(value(host.digests(`${'0'.repeat(64)}  kubelet\n`)).get('kubelet')).toBe('0'.repeat(64))
  refused(host.digests, '', 'empty: no digest')
  expect([...value(host.kernelModules('br_netfilter 32768 0 - Live 0x0\noverlay\n'))]).toEqual([
    'br_netfilter',
    'overlay',
  ])
  expect(value(host.kernel('Linux k8s-node1 6.18.44-fc-v669 #1 SMP PREEMPT_DYNAMIC @0 x86_64 GNU/Linux\n'))).toEqual({
    host: 'k8s-node1',
    release: '6.18.44-fc-v669',
    machine: 'x86_64',
  })
  refused(host.kernel, 'Darwin', 'not the output of uname -a: "Darwin"')
  expect(value(host.iptablesRules('-A KUBE-SERVICES -d 10.233.0.1/32\n'))).toHaveLength(1)
  refused(host.iptablesRules, '', 'empty: no rule')
  expect(value(host.failedUnits('● a.service loaded failed failed A\nb.service loaded failed failed B\n'))).toEqual([
    'a.service',
    'b.service',
  ])
  expect(
    value(
      host.unmanagedDevices('[keyfile]\nunmanaged-devices+=interface-name:kube-ipvs0;interface-name:nodelocaldns\n'),
    ),
  ).toHaveLength(2)
  refused(host.unmanagedDevices, '', 'no unmanaged-devices line')
})

test('versions', () => {
  for (const text of [
    'Kubernetes v1.33.13',
    'etcd Version: 3.5.35\nGit SHA: 0',
    'containerd github.com/containerd/containerd/v2 2.1.5 ',
  ])
    expect(value(programVersion(text))).toMatch(/^\d+\.\d+\.\d+$/)
  refused(programVersion, 'none', 'no version: "none"')
  expect(value(gitDescription('v2.29.1\n'))).toEqual({ tag: 'v2.29.1', beyond: undefined })
  expect(value(gitDescription('v2.29.1-3-gabc1234\n')).beyond).toBe('-3-gabc1234')
  refused(gitDescription, 'master', 'not a described tag: "master"')
  expect(value(kubectlVersion('{"clientVersion":{"gitVersion":"v1.33.13"}}'))).toBe('1.33.13')
})
