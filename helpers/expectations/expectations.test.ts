import { describe, expect, test } from 'vitest'
import { Expectations, inNetwork, networksOverlap, prefixLength } from './expectations.ts'
import { Inventory } from './inventory/inventory.ts'
import { resolveTemplate } from './jinja.ts'
import { noOverrides, type Overrides, readOverrides } from './overrides.ts'
import { knownReleases, release } from './release.ts'

const hosts =
  '[kube_control_plane]\ncp1 ip=10.0.0.1\n[etcd:children]\nkube_control_plane\n[kube_node]\nw1 ip=10.0.0.2\n'

function expectations(vars: string, overrides: Overrides = noOverrides, tag = 'v2.29.1'): Expectations {
  const inventory = Inventory.read({
    sources: [{ path: 'hosts.ini', text: hosts }],
    varsFiles: [{ path: 'group_vars/k8s_cluster/k.yml', text: vars }],
    extraVars: [],
  })
  return new Expectations(inventory, release(tag), overrides)
}
const want = (vars: string, overrides?: Overrides) => expectations(vars, overrides).values('cp1')

test('a release gives what the inventory does not', () => {
  const values = want('')
  expect([
    values.kube_apiserver_port,
    values.kube_network_plugin,
    values.flannel_interface,
    values.skydns_server,
    values.kube_apiserver_ip,
  ]).toEqual([6443, 'calico', undefined, '10.233.0.3', '10.233.0.1'])
  expect([
    values.etcd_version,
    values.nginx_image_repo,
    values.loadbalancer_apiserver_localhost,
    values.rbac_enabled,
  ]).toEqual(['3.5.25', 'docker.io/library/nginx', true, true])
})

test('templates follow what the inventory sets', () => {
  const values = want(
    'kube_config_dir: /srv/k8s\nkube_service_addresses: 10.96.0.0/12\ncluster_name: prod\nkube_version: 1.32.9\nkube_apiserver_port: 8443\nloadbalancer_apiserver: {address: 1.2.3.4, port: 6443}\n',
  )
  expect([
    values.kube_cert_dir,
    values.skydns_server,
    values.dns_domain,
    values.crictl_version,
    values.loadbalancer_apiserver_port,
    values.loadbalancer_apiserver_localhost,
  ]).toEqual(['/srv/k8s/ssl', '10.96.0.3', 'prod', '1.32.0', 8443, false])
})

test.each([
  ['loadbalancer_apiserver_localhost: "False"', 'no load balancer'],
  ['loadbalancer_apiserver_type: haproxy', 'localhost haproxy'],
  ['loadbalancer_apiserver: {address: 1.2.3.4}', 'external load balancer'],
  ['', 'localhost nginx'],
])('the topology of %j', (vars, topology) => expect(expectations(vars).topology).toBe(topology))

describe('what can not be known says which variable in which file, and why', () => {
  test.each([
    [
      "kube_owner: \"{{ lookup('env', 'OWNER') }}\"",
      /^kube_owner in group_vars\/k8s_cluster\/k\.yml:1 can not be resolved: it calls a lookup plugin/,
    ],
    ['kube_owner: "{{ nobody_sets_this }}"', /can not be resolved: nobody_sets_this is undefined/],
    ['kube_owner: "{{ a }}"\na: "{{ kube_owner }}"', 'kube_owner refers to itself (kube_owner → a → kube_owner)'],
    [
      'kube_owner: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00',
      'kube_owner in group_vars/k8s_cluster/k.yml:1 is vault-encrypted',
    ],
    ['kube_owner: [a]', /is \["a"\], a string is expected/],
  ])('%j', (vars, message) => expect(() => want(vars).kube_owner).toThrow(message))

  test.each([
    [
      'kube_apiserver_port: many',
      (values: ReturnType<typeof want>) => values.kube_apiserver_port,
      /is many, a number is expected/,
    ],
    [
      'enable_nodelocaldns: perhaps',
      (values: ReturnType<typeof want>) => values.enable_nodelocaldns,
      /is perhaps, a boolean is expected/,
    ],
    ['node_taints: a', (values: ReturnType<typeof want>) => values.node_taints, /is a, a list is expected/],
  ])('%j', (vars, read, message) => expect(() => read(want(vars))).toThrow(message))

  test('an unknown release', () =>
    expect(() => new Expectations(expectations('').inventory, undefined, noOverrides).values('cp1').bin_dir).toThrow(
      /release is not known/,
    ))

  test('a vault-encrypted file hides every default, until its variables are declared', () => {
    const inventory = Inventory.read({
      sources: [{ path: 'hosts.ini', text: hosts }],
      varsFiles: [{ path: 'group_vars/all/vault.yml', text: '$ANSIBLE_VAULT;1.1;AES256\n00' }],
      extraVars: [],
    })
    const declared = { ...noOverrides, encrypted: [{ file: 'group_vars/all/vault.yml', variables: ['kube_owner'] }] }
    expect(() => new Expectations(inventory, release('v2.29.1'), noOverrides).values('cp1').bin_dir).toThrow(
      /^bin_dir may be set in group_vars\/all\/vault\.yml/,
    )
    expect(new Expectations(inventory, release('v2.29.1'), declared).values('cp1').bin_dir).toBe('/usr/local/bin')
    expect(() => new Expectations(inventory, release('v2.29.1'), declared).values('cp1').kube_owner).toThrow(
      /^kube_owner may be set/,
    )
  })
})

test('overrides rank above everything', () => {
  const overrides = readOverrides(
    'expectations:\n  - variable: worker_rlimit_nofile\n    value: 16384\n    reason: lab\n',
    'o.yaml',
  )
  expect(want('worker_rlimit_nofile: 7', overrides).worker_rlimit_nofile).toBe(16384)
})

test.each([
  ['expectations:\n  - variable: a\n    value: 1\n', /^o\.yaml: expectations\.0\.reason: /],
  ['knownGaps:\n  - id: a\n    reason: " "\n', 'o.yaml: knownGaps.0.reason: say why'],
  ['other: 1', /^o\.yaml: : Unrecognized key/],
])('overrides %j are refused', (text, message) => expect(() => readOverrides(text, 'o.yaml')).toThrow(message))

test('every release has its data', () => {
  expect(knownReleases).toEqual([
    'v2.27.0',
    'v2.27.1',
    'v2.28.0',
    'v2.28.1',
    'v2.29.0',
    'v2.29.1',
    'v2.30.0',
    'v2.31.0',
  ])
  const told = knownReleases.map(tag => {
    const values = expectations('', noOverrides, tag).values('w1')
    return [
      tag,
      values.kube_version,
      values.etcd_version,
      values.containerd_version,
      values.nginx_image_tag,
      values.kube_apiserver_bind_address,
      values.coredns_version,
      values.pod_infra_version,
    ]
  })
  expect(told).toMatchInlineSnapshot(`
    [
      [
        "v2.27.0",
        "v1.31.4",
        "3.5.16",
        "1.7.24",
        "1.25.2-alpine",
        "0.0.0.0",
        "1.11.3",
        "3.10",
      ],
      [
        "v2.27.1",
        "v1.31.9",
        "3.5.21",
        "1.7.27",
        "1.25.2-alpine",
        "0.0.0.0",
        "1.11.3",
        "3.10",
      ],
      [
        "v2.28.0",
        "1.32.5",
        "3.5.21",
        "2.0.5",
        "1.27.4-alpine",
        "::",
        "1.11.3",
        "3.10",
      ],
      [
        "v2.28.1",
        "1.32.8",
        "3.5.22",
        "2.0.6",
        "1.27.4-alpine",
        "::",
        "1.11.3",
        "3.10",
      ],
      [
        "v2.29.0",
        "1.33.5",
        "3.5.23",
        "2.1.4",
        "1.28.0-alpine",
        "::",
        "1.12.0",
        "3.10",
      ],
      [
        "v2.29.1",
        "1.33.7",
        "3.5.25",
        "2.1.5",
        "1.28.0-alpine",
        "::",
        "1.12.0",
        "3.10",
      ],
      [
        "v2.30.0",
        "1.34.3",
        "3.5.26",
        "2.2.1",
        "1.28.0-alpine",
        "::",
        "1.12.1",
        "3.10.1",
      ],
      [
        "v2.31.0",
        "1.35.4",
        "3.6.10",
        "2.2.3",
        "1.28.2-alpine",
        "::",
        "1.12.4",
        "3.10.1",
      ],
    ]
  `)
})

test('Jinja: one variable keeps its type, filters that Kubespray uses, text otherwise', () => {
  const lookup = (name: string) => ({ a: true, list: ['x', 'y'], net: '10.0.0.0/8', v6: 'fd00::/64' })[name]
  expect(resolveTemplate('{{ a }}', lookup)).toBe(true)
  expect(resolveTemplate('{{ list | first }}-{{ missing | default("d") }}', lookup)).toBe('x-d')
  expect(resolveTemplate('{{ net | ipaddr(300) | ipaddr("address") }}', lookup)).toBe('10.0.1.44')
  expect(resolveTemplate("{{ v6 | ansible.utils.ipaddr('net') | ansible.utils.ipaddr(3) }}", lookup)).toBe('fd00::3/64')
  expect(resolveTemplate('{{ "yes" | bool }} {{ "a b" | split | last }}', lookup)).toBe('true b')
  expect(() => resolveTemplate('{{ net | ipaddr("broadcast") }}', lookup)).toThrow(
    'ipaddr(broadcast) is not known here',
  )
  expect(() => resolveTemplate('{{ net | unheard_of }}', lookup)).toThrow(/unheard_of/)
})

test('networks', () => {
  expect([
    inNetwork('10.233.64.3', '10.233.64.0/18'),
    inNetwork('10.233.0.1', '10.233.64.0/18'),
    inNetwork('x', '10.0.0.0/8'),
    inNetwork('fd00::1', '10.0.0.0/8'),
  ]).toEqual([true, false, false, false])
  expect([networksOverlap('10.233.0.0/18', '10.233.64.0/18'), networksOverlap('10.0.0.0/8', '10.233.64.0/18')]).toEqual(
    [false, true],
  )
  expect(prefixLength('10.233.64.0/18')).toBe(18)
})
