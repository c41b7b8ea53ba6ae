import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inventoryList } from '../../facts/ansible-inventory.ts'
import { value } from '../../facts/parser.ts'
import { Inventory } from './inventory.ts'
import { Encrypted } from './model.ts'

const fixtures = join(import.meta.dirname, 'fixtures')

function read(folder: string, source: string): Inventory {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => ({
      path: relative(folder, join(entry.parentPath, entry.name)),
      text: readFileSync(join(entry.parentPath, entry.name), 'utf8'),
    }))
  return Inventory.read({
    sources: files.filter(({ path }) => path === source),
    varsFiles: files.filter(({ path }) => path.includes('_vars/')),
    extraVars: [],
  })
}

const oracles = [
  [
    'INI: ranges, nested groups, quotes, group_vars folders, host_vars',
    join(fixtures, 'ini'),
    'inventory.ini',
    join(fixtures, 'ini.list.json'),
  ],
  ['YAML: hosts, children, vars, ranges', join(fixtures, 'yaml'), 'inventory.yaml', join(fixtures, 'yaml.list.json')],
  [
    'the recorded cluster',
    'recordings/case1-remediated/controller/inventory',
    'inventory.ini',
    'recordings/case1-remediated/controller/ansible-inventory-list.json',
  ],
] as const

describe.each(oracles)('%s', (_, folder, source, listFile) => {
  const list = value(inventoryList(readFileSync(listFile, 'utf8')))
  const inventory = read(folder, source)

  test('the hosts are those that Ansible finds', () =>
    expect([...inventory.hosts].sort()).toEqual(Object.keys(list.hostvars).sort()))

  test('the groups have the members that Ansible gives them', () => {
    const members = (name: string): string[] => [
      ...(list.groups[name]?.hosts ?? []),
      ...(list.groups[name]?.children ?? []).flatMap(members),
    ]
    for (const name of Object.keys(list.groups).filter(group => !['all', 'ungrouped'].includes(group))) {
      expect([name, [...inventory.members(name)].sort()]).toEqual([name, [...new Set(members(name))].sort()])
    }
  })

  test('every variable has the value that Ansible gives it', () => {
    for (const [host, vars] of Object.entries(list.hostvars)) {
      // Kubespray makes k8s_cluster while it runs: ansible-inventory does not know its variables.
      const ours = Object.fromEntries(
        [...inventory.vars(host)].filter(([name]) => name in vars).map(([name, setting]) => [name, setting.value]),
      )
      expect([host, ours]).toEqual([host, vars])
    }
  })

  test('the list itself, taken as an inventory, says the same', () => {
    const again = Inventory.read({
      sources: [{ path: 'list.json', text: readFileSync(listFile, 'utf8') }],
      varsFiles: [],
      extraVars: [],
    })
    for (const group of ['kube_control_plane', 'etcd', 'kube_node'])
      expect([...again.members(group)].sort()).toEqual([...inventory.members(group)].sort())
    for (const [host, vars] of Object.entries(list.hostvars))
      expect(Object.fromEntries([...again.vars(host)].map(([name, setting]) => [name, setting.value]))).toEqual(vars)
  })
})

const ini = (text: string) => Inventory.read({ sources: [{ path: 'hosts.ini', text }], varsFiles: [], extraVars: [] })
const yamlInventory = (text: string) =>
  Inventory.read({ sources: [{ path: 'hosts.yaml', text }], varsFiles: [], extraVars: [] })

test.each([
  [
    'a section that is none',
    () => ini('[kube_node\n'),
    'hosts.ini:1: not a section heading: [kube_node. Write [group], [group:children] or [group:vars].',
  ],
  [
    'an unknown child',
    () => ini('[etcd:children]\nkube_control_plane\n'),
    'hosts.ini:2: unknown group kube_control_plane. Declare it with a section [kube_control_plane], or correct the name.',
  ],
  ['a variable without a value', () => ini('[a]\nh ip\n'), 'hosts.ini:2: not "variable=value": ip'],
  ['a group variable without a value', () => ini('[a:vars]\nx\n'), 'hosts.ini:2: not "variable=value": x'],
  ['an open quote', () => ini('h a="b\n'), 'hosts.ini:1: a quote is not closed: h a="b'],
  [
    'a range that goes down',
    () => ini('h[9:1]\n'),
    'hosts.ini:1: not a range: [9:1]. Write [first:last] with first ≤ last, both numbers or both one letter.',
  ],
  [
    'a mixed range',
    () => ini('h[1:c]\n'),
    'hosts.ini:1: not a range: [1:c]. Write [first:last] with first ≤ last, both numbers or both one letter.',
  ],
  [
    'an empty inventory',
    () => ini(' \n'),
    'hosts.ini: is empty. An inventory with the groups kube_control_plane, etcd and kube_node is expected.',
  ],
  ['YAML that is none', () => yamlInventory('all:\n  - a\n b'), /^hosts\.yaml:\d+: not YAML: /],
  ['YAML that is a list', () => yamlInventory('- a'), 'hosts.yaml: not a mapping of variables to values.'],
  [
    'an unknown key',
    () => yamlInventory('all:\n  host:\n'),
    'hosts.yaml: group all: unknown key host. A group holds hosts, children and vars.',
  ],
  [
    'hosts as a list',
    () => yamlInventory('all:\n  hosts: [a]\n'),
    'hosts.yaml: group all: hosts: a mapping is expected.',
  ],
  [
    'an encrypted inventory',
    () => yamlInventory('$ANSIBLE_VAULT;1.1;AES256\n00'),
    'hosts.yaml: is vault-encrypted: decrypt a copy, or give the output of ansible-inventory --list.',
  ],
  ['JSON that is no list', () => ini('{"a": 1}'), /^hosts\.ini: not the output of ansible-inventory --list: _meta: /],
])('%s is refused in one line that names the place', (_, read, message) => expect(read).toThrow(message))

test('several sources are one inventory, extra vars come last, duplicates and vaults are seen', () => {
  const inventory = Inventory.read({
    sources: [
      { path: 'a.ini', text: '[kube_node]\nw1 x=1\n' },
      { path: 'b.yaml', text: 'kube_node:\n  hosts:\n    w2:\n' },
    ],
    varsFiles: [
      {
        path: 'group_vars/kube_node.yml',
        text: 'x: 2\nx: 3\nsecret: !vault |\n  $ANSIBLE_VAULT;1.1\n  00\nraw: !unsafe "{{ a }}"\n',
      },
      { path: 'group_vars/all/vault.yml', text: '$ANSIBLE_VAULT;1.1;AES256\n00' },
      { path: 'group_vars/kube_node.yml~', text: 'x: 99\n' },
    ],
    extraVars: [{ path: 'extra.yaml', text: 'extra: 4\n' }],
  })
  expect(inventory.members('k8s_cluster')).toEqual(['w1', 'w2'])
  expect([
    inventory.vars('w1').get('x')?.value,
    inventory.vars('w2').get('x')?.value,
    inventory.vars('w2').get('extra')?.value,
  ]).toEqual([1, 3, 4])
  expect(inventory.vars('w2').get('x')?.origin).toEqual({ file: 'group_vars/kube_node.yml', line: 2 })
  expect(inventory.vars('w1').get('secret')?.value).toBeInstanceOf(Encrypted)
  expect(inventory.varsFiles[0]?.duplicates).toEqual([{ key: 'x', line: 2 }])
  expect(inventory.encryptedFiles).toEqual(['group_vars/all/vault.yml'])
})
