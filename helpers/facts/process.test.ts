import { expect, test } from 'vitest'
import { value } from './parser.ts'
import { limitedProcesses, processes } from './process.ts'
import { refused } from './table.ts'

test('processes with their arguments', () => {
  expect(
    value(processes('== kubelet 4666\n/usr/local/bin/kubelet\n--v=2\n== containerd 1232\n/usr/local/bin/containerd\n')),
  ).toEqual([
    { name: 'kubelet', pid: 4666, args: ['/usr/local/bin/kubelet', '--v=2'] },
    { name: 'containerd', pid: 1232, args: ['/usr/local/bin/containerd'] },
  ])
  refused(processes, '', 'empty: no process')
  refused(processes, 'x', 'line 1: an argument without a process')
  refused(processes, '== x', 'line 1: not a process: "== x"')
})

test('processes with their open files', () => {
  expect(
    value(
      limitedProcesses(
        '== 5834 nginx: master process nginx -g daemon off; \nMax open files            20000                unlimited            files     \n',
      ),
    ),
  ).toEqual([
    {
      pid: 5834,
      title: 'nginx: master process nginx -g daemon off;',
      softLimit: 20000,
      hardLimit: Number.POSITIVE_INFINITY,
    },
  ])
  expect(value(limitedProcesses(''))).toEqual([])
  refused(limitedProcesses, '== 1 a\n== 2 b\n', 'line 2: no limits for process 1')
  refused(limitedProcesses, '== 1 a\n', 'no limits for process 1')
  refused(limitedProcesses, 'Max open files 1 1 files', 'line 1: limits without a process')
  refused(limitedProcesses, '== 1 a\nMax open files x', 'line 2: not an open files limit: "Max open files x"')
})
