import { describe, expect, test } from 'vitest'
import { catalogue } from '../invariant/catalogue.ts'
import { collectionSource, type Evidence, type Source } from '../recording/format.ts'
import { openRecording } from '../recording/open.ts'
import type { Recording } from '../recording/recording.ts'
import { renamed } from '../synthetic/rename.ts'
import { withWorkers } from '../synthetic/workers.ts'
import { expectationsFor, isInput, recordedOverrides } from '../targets/recorded.ts'
import { judge } from './judge.ts'

const invariants = await catalogue()
const recording = openRecording('recordings/case1-remediated')
const overrides = recordedOverrides(recording)
const verdictsOf = (subject: Recording) => judge(invariants, subject, expectationsFor(subject, overrides))
const told = (subject: Recording, rename: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(
    verdictsOf(subject).map(verdict => [
      `${verdict.invariant.id}@${rename[verdict.subject] ?? verdict.subject}`,
      verdict.status,
    ]),
  )
const healthy = told(recording)

const renamings = {
  'host names': { 'k8s-node1': 'alpha', 'k8s-node2': 'bravo-2', 'k8s-node3': 'charlie', 'k8s-node4': 'w-04' },
  addresses: {
    ...{
      '192.168.10.11': '172.20.5.21',
      '192.168.10.12': '172.20.5.22',
      '192.168.10.13': '172.20.5.33',
      '192.168.10.14': '172.20.5.44',
    },
    ...{ '192.168.10.1': '172.20.5.1', '192.168.10.0': '172.20.5.0' },
  },
  "the API server's port": { '6443': '7443' },
  "the health check's port": { '8081': '9081' },
  "the cluster's name": { 'cluster.local': 'prod.example' },
  'the subnets of pods and services': {
    '10.233.0.0': '10.50.0.0',
    '10.233.0.1': '10.50.0.1',
    '10.233.0.3': '10.50.0.3',
    '10.233.64.0': '10.50.64.0',
    '10.233.65.0': '10.50.65.0',
    '10.233.66.0': '10.50.66.0',
    '10.233.67.0': '10.50.67.0',
    '10.233.64.1': '10.50.64.1',
    '10.233.65.1': '10.50.65.1',
    '10.233.66.1': '10.50.66.1',
    '10.233.67.1': '10.50.67.1',
  },
  'the interface of flannel': { eth0: 'enp0s9' },
} as const

describe('judging is general: changed in evidence and inventory alike, the verdicts stay the same', () => {
  test.each(Object.entries(renamings))('%s', (_, renaming) => {
    const back = Object.fromEntries(Object.entries(renaming).map(([old, fresh]) => [fresh, old]))
    expect(told(renamed(recording, renaming), back)).toEqual(healthy)
  })

  test('the order of the groups', () => {
    const source = 'controller/inventory/inventory.ini'
    const evidence = recording.get(source)
    const text = evidence?.kind === 'text' ? evidence.content : ''
    const [controlPlanes = '', ...rest] = text.split(/\n(?=\[)/)
    const shuffled = recording.with(
      new Map([[source, { kind: 'text' as const, content: [...rest.reverse(), controlPlanes, ''].join('\n') }]]),
    )
    expect(told(shuffled)).toEqual(healthy)
  })

  test.each([1, 3])('%d more workers', count => {
    const grown = told(withWorkers(recording, count))
    for (const [key, status] of Object.entries(healthy)) expect([key, grown[key]]).toEqual([key, status])
    const others = Object.entries(grown).filter(([key]) => !(key in healthy))
    expect(others.length).toBeGreaterThan(100 * count)
    // A copy of a worker is judged as the worker is; CoreDNS alone is not on every one.
    for (const [key, status] of others.filter(([other]) => !other.startsWith('addon-coredns-loop@')))
      expect([key, status]).toEqual([key, healthy[key.replace(/x\d+$/, '')]])
  })
})

test('a node that could not be reached costs its own verdicts only, and is their one cause', () => {
  const node = 'k8s-node4'
  const changes = new Map<Source, Evidence | undefined>(
    recording.sources(`nodes/${node}/`).map(source => [source, undefined]),
  )
  changes.set(collectionSource(node), { kind: 'text', content: '{"unreachable":"connect ECONNREFUSED"}' })
  const verdicts = verdictsOf(recording.with(changes))
  const lost = verdicts.filter(({ subject, status }) => subject === node && status !== 'pass')
  expect(lost.filter(({ status }) => status === 'fail').map(({ invariant }) => invariant.id)).toEqual([
    'inv-node-recorded',
  ])
  const lacking = lost.filter(({ status }) => status === 'indeterminate')
  expect(lacking.length).toBeGreaterThan(90)
  expect([...new Set(lacking.map(({ impliedBy }) => impliedBy))]).toEqual([`inv-node-recorded@${node}`])
  const others = verdicts.filter(({ subject }) => subject !== node && subject !== 'cluster')
  for (const { invariant, subject, status } of others) {
    expect([invariant.id, subject, status]).toEqual([invariant.id, subject, healthy[`${invariant.id}@${subject}`]])
  }
})

describe('changed in the evidence only, exactly the invariants concerned fail', () => {
  test.each<[string, Readonly<Record<string, string>>, (source: Source) => boolean, readonly string[]]>([
    [
      "the balancer's port in nginx.conf",
      { '127.0.0.1:6443': '127.0.0.1:7443' },
      source => source.endsWith('/etc/nginx/nginx.conf'),
      ['lb-directives-exact', 'lb-listen-local'],
    ],
    [
      "an API server's address in nginx.conf",
      { '192.168.10.12': '192.168.10.99' },
      source => source.endsWith('/etc/nginx/nginx.conf'),
      ['lb-directives-exact', 'lb-upstreams-exact'],
    ],
    [
      "the cluster's name in the kubelets' configuration",
      { 'cluster.local': 'other.local' },
      source => source.endsWith('/kubelet-config.yaml'),
      ['kl-config-dns'],
    ],
    [
      "the interface in flannel's arguments",
      { 'iface=eth0': 'iface=eth1' },
      source => source.endsWith('/process-args'),
      ['net-flannel-args'],
    ],
    [
      "the pods' network in the ConfigMaps",
      { '10.233.64.0': '10.99.64.0' },
      source => source === 'api/configmaps.json',
      ['cp-kubeadm-config-cm', 'kp-config', 'net-flannel-cm'],
    ],
    [
      "the inventory's health check port",
      { '8081': '9081' },
      isInput,
      ['lb-directives-exact', 'lb-http-section', 'lb-probes', 'lb-sockets'],
    ],
  ])('%s', (_, renaming, only, expected) => {
    // Checksums are computed again, so that the edit is of the address or port alone.
    const changed = told(renamed(recording, renaming, only))
    const failing = Object.entries(changed)
      .filter(([key, status]) => status !== healthy[key])
      .map(([key]) => key.split('@')[0] ?? '')
    expect([...new Set(failing)].sort()).toEqual([...expected].sort())
  })
})
