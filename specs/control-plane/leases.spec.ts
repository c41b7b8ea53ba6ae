import { createHash } from 'node:crypto'
import { allNodes, controlPlanes, plane, wholeCluster } from '../../helpers/invariant/invariant.ts'
import { kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('control-plane')
const IDENTITY = 'apiserver.kubernetes.io/identity'

invariant('lease-apiserver', {
  title: 'Every API server renews its lease, and no other does',
  on: wholeCluster,
  severity: 'blocker',
  because: 'The leases are how API servers know each other: a stale one is a server that hangs or is gone.',
  source: [seed('leases'), 'Kubernetes pkg/controlplane (identity lease, renewed every 10 s)'],
  fix: remedy.investigate,
  judge: ({ cluster, check }) => {
    const leases = cluster.api.leases.filter(
      ({ metadata }) => metadata.namespace === 'kube-system' && metadata.labels[IDENTITY] === 'kube-apiserver',
    )
    const fresh = leases.filter(({ spec }) => Math.abs(cluster.apiReadAt - spec.renewTime) < 60_000)
    check.equal('leases', leases.length, cluster.expectations.controlPlanes.length)
    check.equal('leases renewed within 60 s of the reading', fresh.length, cluster.expectations.controlPlanes.length)
    for (const { metadata, spec } of leases)
      check.that(
        `holder of ${metadata.name}`,
        spec.holderIdentity.startsWith(`${metadata.name}_`),
        spec.holderIdentity,
        `${metadata.name}_<UUID>`,
      )
  },
  refutedBy: {
    'one is stale': edit =>
      edit.object(
        'leases',
        item => item.metadata.name.startsWith('apiserver-'),
        ({ spec }) => {
          spec.renewTime = '2020-01-01T00:00:00.000000Z'
        },
      ),
    'one is gone': {
      edit: edit =>
        edit.api('leases', items =>
          items.filter((item, index) => index !== items.findIndex(one => one.metadata.name.startsWith('apiserver-'))),
        ),
      also: ['lease-apiserver-names'],
    },
    'another holder': edit =>
      edit.object(
        'leases',
        item => item.metadata.name.startsWith('apiserver-'),
        ({ spec }) => {
          spec.holderIdentity = 'other_1'
        },
      ),
  },
})

invariant('lease-apiserver-names', {
  title: "The API server's lease bears the name that follows from its host's",
  on: controlPlanes,
  severity: 'normal',
  because: 'It tells which API server is missing or stale.',
  source: [seed('leases'), 'Kubernetes pkg/controlplane/instance.go (kubeAPIServerIdentity)'],
  fix: remedy.investigate,
  judge: ({ cluster, node, check }) => {
    const name = leaseName(node.hostname)
    const lease = cluster.api.leases.find(
      ({ metadata }) =>
        metadata.labels[IDENTITY] === 'kube-apiserver' && metadata.labels['kubernetes.io/hostname'] === node.hostname,
    )
    check.equal('name of the lease labelled with the host', lease?.metadata.name, name)
  },
  dependsOn: ['os-hostname', 'lease-apiserver'],
  refutedBy: {
    'another name': edit =>
      edit.object(
        'leases',
        item =>
          item.metadata.labels?.['kubernetes.io/hostname'] === edit.node && item.metadata.name.startsWith('apiserver-'),
        lease => {
          lease.spec.holderIdentity = lease.spec.holderIdentity.replace(lease.metadata.name, 'apiserver-x')
          lease.metadata.name = 'apiserver-x'
        },
      ),
  },
})

/** `apiserver-` and the base32 of the first 16 bytes of SHA-256 over host name and `kube-apiserver`, each behind its length. */
function leaseName(hostname: string): string {
  const part = (text: string) => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(Buffer.byteLength(text))
    return Buffer.concat([length, Buffer.from(text)])
  }
  const digest = createHash('sha256').update(part(hostname)).update(part('kube-apiserver')).digest().subarray(0, 16)
  const bits = [...digest].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const letters = 'abcdefghijklmnopqrstuvwxyz234567'
  return `apiserver-${(bits.match(/.{1,5}/g) ?? []).map(group => letters[Number.parseInt(group.padEnd(5, '0'), 2)]).join('')}`
}

invariant('lease-leaders', {
  title: 'Controller manager and scheduler have one leader each, on a control plane, and it renews in time',
  on: wholeCluster,
  severity: 'blocker',
  because: 'Without a leader nothing is scheduled, and no failed pod is replaced.',
  source: [seed('leases'), kubespray('kube_controller_manager_leader_elect_lease_duration')],
  fix: remedy.controlPlane,
  judge: ({ cluster, want, check }) => {
    const durations = {
      'kube-controller-manager': want.kube_controller_manager_leader_elect_lease_duration,
      'kube-scheduler': want.kube_scheduler_leader_elect_lease_duration,
    }
    const names = cluster.expectations.controlPlanes.map(host => cluster.nodeName(host))
    for (const [name, duration] of Object.entries(durations)) {
      const lease = cluster.api.leases.find(
        ({ metadata }) => metadata.namespace === 'kube-system' && metadata.name === name,
      )
      check.that(
        `holder of ${name}`,
        names.some(host => lease?.spec.holderIdentity.startsWith(`${host}_`)),
        lease?.spec.holderIdentity,
        `one of ${names.join(', ')}`,
      )
      check.equal(`duration of ${name}`, `${lease?.spec.leaseDurationSeconds ?? 0}s`, duration)
      check.atMost(
        `seconds since ${name} was renewed`,
        (cluster.apiReadAt - (lease?.spec.renewTime ?? 0)) / 1000,
        lease?.spec.leaseDurationSeconds ?? 0,
      )
    }
  },
  refutedBy: {
    'nobody leads': edit =>
      edit.object('leases', 'kube-scheduler', ({ spec }) => {
        spec.holderIdentity = ''
      }),
    'a stranger leads': edit =>
      edit.object('leases', 'kube-controller-manager', ({ spec }) => {
        spec.holderIdentity = 'stranger_1'
      }),
    'the leader hangs': edit =>
      edit.object('leases', 'kube-controller-manager', ({ spec }) => {
        spec.renewTime = '2020-01-01T00:00:00.000000Z'
      }),
    'another duration': edit =>
      edit.object('leases', 'kube-scheduler', ({ spec }) => {
        spec.leaseDurationSeconds = 60
      }),
  },
})

invariant('lease-transitions', {
  title: 'Leadership does not keep changing hands',
  on: wholeCluster,
  severity: 'normal',
  because: 'Each change is a pause of up to 15 seconds, and a sign of slow etcd or restarts.',
  source: ['Comparison of leaseTransitions'],
  fix: remedy.investigate,
  correction: 'Growth needs two recordings; one allows as many changes as three for each control plane.',
  judge: ({ cluster, check }) => {
    for (const name of ['kube-controller-manager', 'kube-scheduler']) {
      const lease = cluster.api.leases.find(
        ({ metadata }) => metadata.namespace === 'kube-system' && metadata.name === name,
      )
      check.atMost(
        `transitions of ${name}`,
        lease?.spec.leaseTransitions ?? 0,
        3 * cluster.expectations.controlPlanes.length,
      )
    }
  },
  refutedBy: {
    'fifty changes': edit =>
      edit.object('leases', 'kube-scheduler', ({ spec }) => {
        spec.leaseTransitions = 50
      }),
  },
})

invariant('lease-nodes', {
  title: 'The node renews its lease in time',
  on: allNodes,
  severity: 'critical',
  because: "It is the node's heartbeat: a worker's goes through its balancer.",
  source: ['Kubernetes node leases', kubespray('docs/advanced/kubernetes-reliability.md')],
  fix: remedy.kubelet,
  judge: ({ cluster, node, check }) => {
    const lease = cluster.api.leases.find(
      ({ metadata }) => metadata.namespace === 'kube-node-lease' && metadata.name === cluster.nodeName(node.name),
    )
    check.equal('holder', lease?.spec.holderIdentity, cluster.nodeName(node.name))
    check.atMost('seconds since it was renewed', (cluster.apiReadAt - (lease?.spec.renewTime ?? 0)) / 1000, 40)
  },
  refutedBy: {
    'it is stale': edit =>
      edit.object(
        'leases',
        item => item.metadata.namespace === 'kube-node-lease' && item.metadata.name === edit.node,
        ({ spec }) => {
          spec.renewTime = '2020-01-01T00:00:00.000000Z'
        },
      ),
    'it is gone': edit =>
      edit.api('leases', items =>
        items.filter(item => item.metadata.namespace !== 'kube-node-lease' || item.metadata.name !== edit.node),
      ),
  },
})
