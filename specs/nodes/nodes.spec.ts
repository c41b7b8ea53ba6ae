import { kubernetesVersion } from '../../helpers/expectations/expectations.ts'
import { allNodes, plane, wholeCluster } from '../../helpers/invariant/invariant.ts'
import { kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('nodes')

invariant('node-ready', {
  title: 'The node is registered under its name and address, Ready, and of the version of the inventory',
  on: allNodes,
  severity: 'blocker',
  because: 'A node that is not Ready takes no pods, and after five minutes loses those that it has.',
  source: [seed('kubectl get node -owide')],
  fix: remedy.kubelet,
  judge: ({ cluster, node, want, check }) => {
    const found = cluster.api.nodes.find(({ metadata }) => metadata.name === cluster.nodeName(node.name))
    check.equal('the Node', found?.metadata.name, cluster.nodeName(node.name))
    check.equal('condition Ready', found?.status.conditions.find(({ type }) => type === 'Ready')?.status, 'True')
    check.equal('kubeletVersion', found?.status.nodeInfo.kubeletVersion, `v${kubernetesVersion(want)}`)
    check.equal(
      'InternalIP',
      found?.status.addresses.find(({ type }) => type === 'InternalIP')?.address,
      cluster.mainIp(node.name),
    )
    const pressure = found?.status.conditions.filter(({ type, status }) => type !== 'Ready' && status !== 'False') ?? []
    check.none(
      'conditions that are not good',
      pressure.map(({ type, status }) => `${type}=${status}`),
    )
  },
  refutedBy: {
    NotReady: edit =>
      edit.object('nodes', edit.node, node => {
        node.status.conditions.find((one: { type: string }) => one.type === 'Ready').status = 'False'
      }),
    unknown: edit =>
      edit.object('nodes', edit.node, node => {
        node.status.conditions.find((one: { type: string }) => one.type === 'Ready').status = 'Unknown'
      }),
    'another version': edit =>
      edit.object('nodes', edit.node, node => {
        node.status.nodeInfo.kubeletVersion = 'v1.20.0'
      }),
    'another address': {
      edit: edit =>
        edit.object('nodes', edit.node, node => {
          node.status.addresses[0].address = '10.0.2.15'
        }),
      also: ['node-addresses-exact'],
    },
    'no such Node': edit => edit.api('nodes', items => items.filter(item => item.metadata.name !== edit.node)),
  },
})

invariant('node-no-strangers', {
  title: 'Every Node of the cluster is a host of the inventory',
  on: wholeCluster,
  severity: 'critical',
  because: 'A Node that the inventory does not know is neither upgraded nor removed.',
  source: [seed('k8s-node5 is commented out')],
  fix: 'Add the host to the inventory, or remove the Node with remove-node.yml.',
  judge: ({ cluster, check }) => {
    const known = cluster.expectations.nodes.map(host => cluster.nodeName(host))
    check.atLeast('Nodes', cluster.api.nodes.length, 1)
    check.none(
      'Nodes that the inventory does not know',
      cluster.api.nodes.map(({ metadata }) => metadata.name).filter(name => !known.includes(name)),
    )
  },
  refutedBy: {
    'one Node more': edit =>
      edit.api('nodes', items => [
        ...items,
        { ...structuredClone(items[0]), metadata: { ...items[0].metadata, name: 'stranger' } },
      ]),
  },
})

invariant('node-roles', {
  title: 'Control planes bear the role control-plane, workers none',
  on: allNodes,
  severity: 'normal',
  because: 'Kubespray and add-ons find control planes by that label.',
  source: [seed('kubectl get node: ROLES')],
  fix: remedy.controlPlane,
  dependsOn: ['node-ready'],
  judge: ({ cluster, node, check }) => {
    const found = cluster.api.nodes.find(({ metadata }) => metadata.name === cluster.nodeName(node.name))
    const roles = Object.keys(found?.metadata.labels ?? {}).filter(label =>
      label.startsWith('node-role.kubernetes.io/'),
    )
    check.sameSet('roles', roles, cluster.isControlPlane(node.name) ? ['node-role.kubernetes.io/control-plane'] : [])
  },
  refutedBy: {
    'the other role': edit =>
      edit.object('nodes', edit.node, ({ metadata: { labels } }) => {
        if ('node-role.kubernetes.io/control-plane' in labels) delete labels['node-role.kubernetes.io/control-plane']
        else labels['node-role.kubernetes.io/control-plane'] = ''
      }),
  },
})

invariant('node-taints', {
  title: 'Control planes take no ordinary pods, workers take all',
  on: allNodes,
  severity: 'critical',
  because: 'Workloads on a control plane take its memory from etcd; a tainted worker leaves pods Pending.',
  source: [seed('taints'), kubespray('roles/kubernetes/control-plane/templates/kubeadm-config.v1beta4.yaml.j2')],
  fix: 'kubectl taint node NAME node-role.kubernetes.io/control-plane:NoSchedule (with a trailing - to remove it).',
  dependsOn: ['node-ready'],
  judge: ({ cluster, node, want, check }) => {
    const found = cluster.api.nodes.find(({ metadata }) => metadata.name === cluster.nodeName(node.name))
    const taints = (found?.spec.taints ?? []).map(
      ({ key, value, effect }) => `${key}${value ? `=${value}` : ''}:${effect}`,
    )
    const schedulable = cluster.expectations.inventory.members('kube_node').includes(node.name)
    const expected =
      cluster.isControlPlane(node.name) && !schedulable ? ['node-role.kubernetes.io/control-plane:NoSchedule'] : []
    check.sameSet('taints', taints, [...expected, ...want.node_taints])
    check.equal('cordoned', found?.spec.unschedulable, false)
  },
  refutedBy: {
    'another taint, or none': edit =>
      edit.object('nodes', edit.node, ({ spec }) => {
        if (spec.taints) delete spec.taints
        else spec.taints = [{ key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' }]
      }),
    cordoned: edit =>
      edit.object('nodes', edit.node, ({ spec }) => {
        spec.unschedulable = true
      }),
  },
})

invariant('node-addresses-exact', {
  title: 'The Node has one InternalIP and its host name, and no ExternalIP',
  on: allNodes,
  severity: 'normal',
  because: 'A second address (of a NAT interface) may be picked by whoever asks for the node.',
  source: [seed('kubectl get node -owide: EXTERNAL-IP <none>')],
  fix: remedy.kubelet,
  dependsOn: ['node-ready'],
  judge: ({ cluster, node, check }) => {
    const found = cluster.api.nodes.find(({ metadata }) => metadata.name === cluster.nodeName(node.name))
    check.sameSet(
      'addresses',
      (found?.status.addresses ?? []).map(({ type, address }) => `${type} ${address}`),
      [`InternalIP ${cluster.mainIp(node.name)}`, `Hostname ${cluster.nodeName(node.name)}`],
    )
  },
  refutedBy: {
    'an ExternalIP': edit =>
      edit.object('nodes', edit.node, node => {
        node.status.addresses.push({ type: 'ExternalIP', address: '198.51.100.7' })
      }),
  },
})

invariant('node-os-uniform', {
  title: 'What the Node reports of kernel and architecture is what the host is, and the same on all',
  on: allNodes,
  severity: 'minor',
  because: 'A node that runs an old kernel was patched and not rebooted.',
  source: [seed('kubectl get node -owide')],
  fix: 'Reboot the node into its current kernel, one node after the other.',
  dependsOn: ['node-ready'],
  judge: ({ cluster, node, check }) => {
    const info = cluster.api.nodes.find(({ metadata }) => metadata.name === cluster.nodeName(node.name))?.status
      .nodeInfo
    check.equal('kernelVersion', info?.kernelVersion, node.kernel.release)
    check.equal(
      'architecture',
      info?.architecture,
      { x86_64: 'amd64', aarch64: 'arm64' }[node.kernel.machine] ?? node.kernel.machine,
    )
    check.equal('osImage', info?.osImage, node.osRelease.get('PRETTY_NAME'))
  },
  refutedBy: {
    'another kernel': edit =>
      edit.object('nodes', edit.node, node => {
        node.status.nodeInfo.kernelVersion = '5.4.0'
      }),
    'another distribution': edit =>
      edit.file('/etc/os-release', text => text.replace(/^PRETTY_NAME=.*$/m, 'PRETTY_NAME="Other Linux"')),
  },
})

invariant('node-join-order', {
  title: 'The first control plane is the oldest Node, and control planes are older than workers',
  on: wholeCluster,
  severity: 'advisory',
  because:
    'Another order tells that the first control plane was replaced: cluster-info and kubeadm-config may still name the old one.',
  source: [seed('kubectl get node: AGE')],
  fix: remedy.kubeadmConfigMaps,
  dependsOn: ['node-ready'],
  judge: ({ cluster, check }) => {
    const born = (host: string) =>
      cluster.api.nodes.find(({ metadata }) => metadata.name === cluster.nodeName(host))?.metadata.creationTimestamp ??
      0
    const [first = '', ...others] = cluster.expectations.controlPlanes
    for (const host of others)
      check.that(
        `${host} joined`,
        born(host) >= born(first),
        new Date(born(host)).toISOString(),
        `after ${first} (${new Date(born(first)).toISOString()})`,
      )
    const lastControlPlane = Math.max(...cluster.expectations.controlPlanes.map(born))
    for (const host of cluster.expectations.workers)
      check.that(
        `${host} joined`,
        born(host) >= lastControlPlane,
        new Date(born(host)).toISOString(),
        'after the control planes',
      )
  },
  refutedBy: {
    'the first was replaced': edit =>
      edit.object('nodes', edit.node, ({ metadata }) => {
        metadata.creationTimestamp = '2030-01-01T00:00:00Z'
      }),
  },
})

invariant('rbac-node-crb', {
  title: "Kubespray's role binding for nodes and its priority class exist",
  on: wholeCluster,
  severity: 'minor',
  because: 'Add-ons name the priority class: without it their pods are refused.',
  source: [kubespray('roles/kubernetes-apps/cluster_roles')],
  fix: remedy.addons,
  unless: ({ want }) => (want.rbac_enabled ? undefined : 'RBAC is off'),
  judge: ({ cluster, check }) => {
    check.includes(
      'ClusterRoleBindings',
      cluster.api.clusterRoleBindings.map(({ metadata }) => metadata.name),
      ['kubespray:system:node'],
    )
    check.includes(
      'PriorityClasses',
      cluster.api.priorityClasses.map(({ metadata }) => metadata.name),
      ['k8s-cluster-critical'],
    )
  },
  refutedBy: {
    'no binding': edit =>
      edit.api('clusterrolebindings', items => items.filter(item => item.metadata.name !== 'kubespray:system:node')),
    'no priority class': edit =>
      edit.api('priorityclasses', items => items.filter(item => item.metadata.name !== 'k8s-cluster-critical')),
  },
})

invariant('api-endpoints', {
  title: 'The Service kubernetes has every API server as endpoint, and no other',
  on: wholeCluster,
  severity: 'blocker',
  because: 'Pods call it: a dead endpoint is a share of their calls lost.',
  source: [kubespray('kubeadm-config (endpoint-reconciler-type: lease)')],
  fix: remedy.investigate,
  judge: ({ cluster, check }) => {
    const slices = cluster.api.endpointSlices.filter(
      ({ metadata }) =>
        metadata.namespace === 'default' && metadata.labels['kubernetes.io/service-name'] === 'kubernetes',
    )
    const found = slices.flatMap(({ endpoints, ports }) =>
      endpoints
        .filter(({ conditions }) => conditions.ready)
        .flatMap(({ addresses }) => addresses.flatMap(address => ports.map(({ port }) => `${address}:${port}`))),
    )
    check.sameSet(
      'endpoints',
      found,
      cluster.expectations.controlPlanes.map(
        host => `${cluster.mainIp(host)}:${cluster.want(host).kube_apiserver_port}`,
      ),
    )
  },
  refutedBy: {
    'one is missing': edit =>
      edit.object('endpointslices', 'kubernetes', slice => {
        slice.endpoints.pop()
      }),
    'a stranger': edit =>
      edit.object('endpointslices', 'kubernetes', slice => {
        slice.endpoints.push({ addresses: ['192.0.2.9'], conditions: { ready: true } })
      }),
    'another port': edit =>
      edit.object('endpointslices', 'kubernetes', slice => {
        slice.ports[0].port = 8443
      }),
  },
})
