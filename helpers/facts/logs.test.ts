import { expect, test } from 'vitest'
import { ansibleLog, ansibleLogText } from './ansible-log.ts'
import { coreDnsLoops, nginxLog } from './container-log.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

const RED = '\u001b[0;31m'
const log = `
PLAY [Install etcd] ************************************************************

TASK [etcd : Get currently-deployed etcd version] ******************************
${RED}fatal: [k8s-node3]: FAILED! => {"rc": 2}\u001b[0m
...ignoring
ok: [k8s-node4]
Sunday 22 November 2026  22:58:00 +0000 (0:00:00.219)       0:11:10.163 *******

RUNNING HANDLER [etcd : reload] ************************************************
included: /x/tasks/a.yml for k8s-node2, k8s-node1
changed: [k8s-node4 -> k8s-node1(192.168.10.11)] => (item=a)
skipping: [k8s-node4] => (item=b)

PLAY RECAP *********************************************************************
k8s-node1                  : ok=519  changed=115  unreachable=0    failed=0    skipped=844  rescued=0    ignored=2
k8s-node4                  : ok=4    changed=0    unreachable=1    failed=1

===============================================================================
x ----- 22.93s
`

test('plays, tasks, recap with and without ignored and rescued, colours', () => {
  const { plays, tasks, recap, profiled, endedAt } = value(ansibleLog(log))
  expect(plays).toEqual([{ name: 'Install etcd', line: 2 }])
  expect(tasks.map(({ name, hosts, ignored }) => [name, [...hosts], ignored])).toEqual([
    [
      'etcd : Get currently-deployed etcd version',
      [
        ['k8s-node3', 'fatal'],
        ['k8s-node4', 'ok'],
      ],
      ['k8s-node3'],
    ],
    [
      'etcd : reload',
      [
        ['k8s-node2', 'included'],
        ['k8s-node1', 'included'],
        ['k8s-node4', 'changed'],
      ],
      [],
    ],
  ])
  expect(recap).toEqual([
    { host: 'k8s-node1', ok: 519, changed: 115, unreachable: 0, failed: 0, skipped: 844, rescued: 0, ignored: 2 },
    { host: 'k8s-node4', ok: 4, changed: 0, unreachable: 1, failed: 1, skipped: 0, rescued: 0, ignored: 0 },
  ])
  expect(profiled).toBe(true)
  expect(endedAt).toBe(Date.parse('2026-11-22T22:58:00Z'))
  expect(value(ansibleLogText(log))).toBe(log)
  refused(ansibleLog, 'x', 'no PLAY line: not the output of ansible-playbook')
  refused(ansibleLog, 'PLAY [a] ***\nPLAY RECAP ***\nh : ok=x\n', /^line 3: not a PLAY RECAP line/)
})

test('nginx', () => {
  const [plain, criFramed] = value(
    nginxLog(
      '2026/11/22 23:00:17 [notice] 1#1: nginx/1.22.1\n2026-11-22T23:00:17.577014814Z stderr F 2026/11/22 23:00:17 [alert] 8#8: x\n',
    ),
  )
  expect(plain).toEqual({
    at: Date.parse('2026-11-22T23:00:17Z'),
    level: 'notice',
    message: '1#1: nginx/1.22.1',
    line: 1,
  })
  expect(criFramed?.level).toBe('alert')
  refused(nginxLog, 'hello', 'line 1: not an nginx log line: "hello"')
})

test('CoreDNS', () => {
  expect(
    value(coreDnsLoops('CoreDNS-1.12.0\n[FATAL] plugin/loop: Loop (127.0.0.1:1 -> :53) detected for zone "."\n')),
  ).toHaveLength(1)
  refused(coreDnsLoops, 'x', "not CoreDNS's log: its version is not in it")
})
