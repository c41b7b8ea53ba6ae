import { allNodes, controller, plane, workers } from '../../helpers/invariant/invariant.ts'
import { collectionSource } from '../../helpers/recording/format.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('inventory')

invariant('inv-group-tree', {
  title: 'Ansible resolves the inventory to the groups and hosts that it states',
  on: controller,
  severity: 'blocker',
  because:
    'Every play picks its hosts by group: a host in the wrong group is deployed as something else, or not at all.',
  source: [seed('inventory graph'), kubespray('inventory/sample/inventory.ini')],
  fix: remedy.inventory,
  judge: ({ cluster, check }) => {
    const { inventory } = cluster
    const stated = inventory.groupNames
      .filter(group => !['all', 'ungrouped', 'k8s_cluster'].includes(group))
      .flatMap(group => [
        ...inventory.children(group).map(child => `@${group} > @${child}`),
        ...inventory.hosts.filter(host => inventory.ownHosts(group).includes(host)).map(host => `@${group} > ${host}`),
      ])
    const { inventoryGraph, inventoryList } = cluster.controller
    const shown = inventoryGraph
      .filter(({ parent }) => parent !== '@all')
      .map(({ parent, child }) => `${parent} > ${child}`)
    check.sameSet('what ansible-inventory --graph shows below each group', shown, stated)
    check.sameSet('hosts that ansible-inventory --list knows', Object.keys(inventoryList.hostvars), inventory.hosts)
  },
  refutedBy: {
    'a worker is missing in the graph': edit =>
      edit.text('controller/ansible-inventory-graph.txt', text => text.trimEnd().replace(/\n[^\n]*$/, '\n')),
    'Ansible knows one more host': {
      edit: edit =>
        edit.text('controller/ansible-inventory-list.json', text =>
          text.replace(/"hostvars": \{/, '"hostvars": {"stray": {},'),
        ),
      also: ['inv-identity-only'],
    },
  },
})

invariant('inv-legacy-group-names', {
  title: 'No group bears a name that Kubespray gave up',
  on: controller,
  severity: 'critical',
  because:
    'roles/dynamic_groups maps kube-master, kube-node and k8s-cluster, but plays that name kube_node can miss their hosts.',
  source: [kubespray('roles/dynamic_groups/tasks/main.yml'), issue(12625)],
  fix: remedy.inventory,
  judge: ({ cluster, check }) => {
    const legacy = ['kube-master', 'kube-node', 'k8s-cluster', 'calico-rr', 'no-floating']
    check.none(
      'groups with old names',
      cluster.inventory.groupNames.filter(name => legacy.includes(name)),
    )
  },
  refutedBy: {
    'a group kube-node beside kube_node': edit =>
      edit.text('controller/inventory/inventory.ini', text => `${text}\n[kube-node]\n`),
  },
})

invariant('inv-cp-ha-count', {
  title: 'At least three control planes',
  on: controller,
  severity: 'blocker',
  because: 'With fewer, the loss of one takes the API or etcd with it: the cluster is not highly available.',
  source: [seed('inventory.ini'), kubespray('docs/operations/ha-mode.md')],
  fix: remedy.inventory,
  judge: ({ cluster, check }) =>
    check.atLeast('hosts in kube_control_plane', cluster.inventory.members('kube_control_plane').length, 3),
  refutedBy: {
    'two control planes only': {
      edit: edit => edit.text('controller/inventory/inventory.ini', dropHost(2)),
      also: ['inv-etcd-odd', 'inv-group-tree'],
    },
  },
})

invariant('inv-etcd-odd', {
  title: 'The number of etcd hosts is odd',
  on: controller,
  severity: 'blocker',
  because: 'An even number tolerates no more losses than one less, and Kubespray refuses it.',
  source: [kubespray('roles/validate_inventory/tasks/main.yml "Stop if even number of etcd hosts"')],
  fix: remedy.inventory,
  judge: ({ cluster, check }) => {
    const count = cluster.inventory.members('etcd').length
    check.that('hosts in etcd', count % 2 === 1, count, 'an odd number')
  },
  refutedBy: {
    'two etcd hosts': {
      edit: edit => edit.text('controller/inventory/inventory.ini', dropHost(2)),
      also: ['inv-cp-ha-count', 'inv-group-tree'],
    },
  },
})

invariant('inv-etcd-stacked', {
  title: 'etcd runs on the control planes and nowhere else',
  on: controller,
  severity: 'normal',
  because:
    'The documented topology is stacked: etcd elsewhere needs its own hosts, certificates and backups, which nothing here looks after.',
  source: [seed('inventory.ini')],
  fix: remedy.inventory,
  judge: ({ cluster, check }) =>
    check.sameSet('hosts in etcd', cluster.inventory.members('etcd'), cluster.inventory.members('kube_control_plane')),
  refutedBy: {
    'etcd takes the workers in': {
      edit: edit =>
        edit.text('controller/inventory/inventory.ini', text =>
          text.replace(/^(\[etcd:children\]\n)/m, '$1kube_node\n'),
        ),
      also: ['inv-etcd-odd', 'inv-group-tree', 'inv-etcd-member-name', 'inv-etcd-name-indexed'],
    },
  },
})

invariant('inv-pure-worker', {
  title: 'At least one host is a worker and no control plane',
  on: controller,
  severity: 'blocker',
  because:
    'Only such hosts get the localhost balancer: without one there is no client-side load balancing to speak of.',
  source: [kubespray('roles/kubernetes/node/tasks/main.yml')],
  fix: remedy.inventory,
  judge: ({ cluster, check }) => {
    const controlPlanes = cluster.inventory.members('kube_control_plane')
    const pure = cluster.inventory.members('kube_node').filter(host => !controlPlanes.includes(host))
    check.atLeast('hosts in kube_node that are not in kube_control_plane', pure.length, 1)
  },
  refutedBy: {
    'the worker is a control plane as well': {
      edit: edit =>
        edit.text('controller/inventory/inventory.ini', text =>
          text.replace(/^\[kube_node\][^]*/m, '[kube_node:children]\nkube_control_plane\n'),
        ),
      also: ['inv-group-tree'],
    },
  },
})

invariant('inv-node-recorded', {
  title: 'The node answered all that it was asked when the evidence was collected',
  on: allNodes,
  severity: 'blocker',
  because: 'Nothing can be said of a node that could not be reached, and whoever can not reach it may not be alone.',
  source: ['The recording (manifest.json)'],
  fix: "Mend what the reason says (network, sshd, credentials, the inventory's ansible_host), and record again.",
  judge: ({ node, check }) => {
    check.that('the node', node.unreachable === undefined, node.unreachable, 'reached')
    check.that('collecting', node.cut === undefined, node.cut, 'ended with all that was asked for')
  },
  refutedBy: {
    'it stalled half way': edit =>
      edit.text(collectionSource(edit.node), text =>
        text.replace('}', ',"cut":"it stalled: nothing arrived for 30 s"}'),
      ),
    'it could not be reached': {
      edit: edit => edit.text(collectionSource(edit.node), () => '{"unreachable":"connect ECONNREFUSED 192.0.2.1:22"}'),
      also: ['os-time-sync'],
    },
  },
})

invariant('inv-layout', {
  title: 'Every folder and file below group_vars and host_vars is named after a group or host of the run',
  on: controller,
  severity: 'normal',
  because: 'Ansible passes over a misspelt one without a word, and its settings never apply.',
  source: [seed('tree inventory/mycluster'), kubespray('inventory/sample')],
  fix: remedy.inventory,
  judge: ({ cluster, check }) => {
    const { inventory } = cluster
    const groups = [
      ...inventory.groupNames,
      'all',
      'kube_control_plane',
      'kube_node',
      'etcd',
      'k8s_cluster',
      'calico_rr',
      'bastion',
    ]
    const named = (file: string, folder: string) => new RegExp(`^${folder}/([^/.]+)`).exec(file)?.[1]
    const files = inventory.varsFiles.map(({ file }) => file)
    check.atLeast('files below group_vars', files.filter(file => file.startsWith('group_vars/')).length, 1)
    check.none(
      'group_vars that no group reads',
      files.filter(file => !groups.includes(named(file, 'group_vars') ?? 'all')),
    )
    check.none(
      'host_vars that no host reads',
      files.filter(file => file.startsWith('host_vars/') && !inventory.hosts.includes(named(file, 'host_vars') ?? '')),
    )
  },
  refutedBy: {
    'a misspelt folder': edit =>
      edit.addText('controller/inventory/group_vars/k8s-cluster/extra.yml', 'event_ttl_duration: 1h0m0s\n'),
  },
})

invariant('inv-identity-only', {
  title: 'Hosts differ only in what identifies them',
  on: workers,
  severity: 'normal',
  because: 'A setting that only one host has makes it behave unlike its peers, and nobody looks for it there.',
  source: [seed('host vars')],
  fix: 'Move the variable to group_vars, or declare the deviation in the overrides file.',
  judge: ({ cluster, node, check }) => {
    const identity = [
      'ansible_host',
      'ansible_port',
      'ansible_user',
      'ansible_ssh_private_key_file',
      'ip',
      'ip6',
      'access_ip',
      'access_ip6',
      'etcd_member_name',
      'node_labels',
      'node_taints',
      'kube_override_hostname',
    ]
    const hostvars = cluster.controller.inventoryList.hostvars
    const own = hostvars[node.name] ?? {}
    const others = Object.entries(hostvars).filter(([host]) => host !== node.name)
    const names = new Set([...Object.keys(own), ...others.flatMap(([, vars]) => Object.keys(vars))])
    const differing = [...names].filter(
      name =>
        !identity.includes(name) && others.some(([, vars]) => JSON.stringify(vars[name]) !== JSON.stringify(own[name])),
    )
    check.none('variables in which it differs from other hosts', differing)
  },
  refutedBy: {
    'another ntp_enabled on one worker': edit =>
      edit.text('controller/ansible-inventory-list.json', text => {
        const list = JSON.parse(text) as { _meta: { hostvars: Record<string, Record<string, unknown>> } }
        Object.assign(list._meta.hostvars[edit.node] ?? {}, { ntp_enabled: true })
        return JSON.stringify(list)
      }),
  },
})

/** Takes the n-th host (from 0) of the first section out. */
function dropHost(n: number): (text: string) => string {
  return text =>
    text
      .split('\n')
      .filter((_, index) => index !== n + 1)
      .join('\n')
}
