import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { inventoryGraph, inventoryList, listedTasks, playbookTags } from './ansible-inventory.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

test('the graph', () => {
  expect(
    value(inventoryGraph(readFileSync('recordings/case1-remediated/controller/ansible-inventory-graph.txt', 'utf8'))),
  ).toEqual(
    [
      ['@all', '@ungrouped'],
      ['@all', '@etcd'],
      ['@etcd', '@kube_control_plane'],
      ['@kube_control_plane', 'k8s-node1'],
      ['@kube_control_plane', 'k8s-node2'],
      ['@kube_control_plane', 'k8s-node3'],
      ['@all', '@kube_node'],
      ['@kube_node', 'k8s-node4'],
    ].map(([parent, child]) => ({ parent, child })),
  )
  refused(inventoryGraph, '', 'empty: no group')
  refused(inventoryGraph, '  |--@a:', 'line 1: a group without its parent')
  refused(inventoryGraph, '@a b', 'line 1: not an inventory graph line: "@a b"')
})

test('the list', () => {
  const { groups, hostvars } = value(
    inventoryList('{"_meta":{"hostvars":{"a":{"ip":"1"}}},"all":{"children":["g"]},"g":{"hosts":["a"]}}'),
  )
  expect(groups['g']).toEqual({ hosts: ['a'], children: [], vars: {} })
  expect(hostvars['a']).toEqual({ ip: '1' })
  refused(inventoryList, '{}', /^_meta: /)
})

test('tags and tasks of a playbook', () => {
  expect(value(playbookTags('  play #1 (all): x\tTAGS: []\n      TASK TAGS: [always, nginx]\n'))).toEqual([
    'always',
    'nginx',
  ])
  refused(playbookTags, '', /no TAGS line/)
  expect(
    value(
      listedTasks(
        'playbook: cluster.yml\n\n  play #1 (all): Install etcd\tTAGS: []\n    tasks:\n      etcd : a\tTAGS: [etcd]\n',
      ),
    ),
  ).toEqual({ plays: ['Install etcd'], tasks: 1 })
  refused(listedTasks, '', /no play/)
})
