import { inNetwork } from '../../helpers/expectations/expectations.ts'
import { allNodes, controller, etcdMembers, plane } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('inventory')

invariant('inv-ip-local', {
  title: "The address that the inventory gives the host is one of the host's own",
  on: allNodes,
  severity: 'blocker',
  because:
    'kubelet, etcd and the API server bind to it: a wrong one keeps them from starting, or puts them on the wrong network.',
  source: [kubespray('roles/kubernetes/preinstall/tasks/0040-verify-settings.yml "ip var does not match local ips"')],
  fix: remedy.inventory,
  judge: ({ cluster, node, check }) => {
    const local = node.interfaces.flatMap(({ addr_info }) => addr_info.map(address => address.local))
    check.includes('the addresses of the host', local, [cluster.mainIp(node.name)])
  },
  refutedBy: {
    'the address is gone from the interface': {
      edit: edit =>
        edit.json('ip-addr', links => {
          for (const link of links)
            for (const address of link.addr_info) if (link.ifname.startsWith('e')) address.local = '198.51.100.7'
        }),
      also: ['var-flannel-interface', 'net-public-ip'],
    },
  },
})

invariant('inv-access-ip-unique', {
  title: 'Every host is reached by an address of its own, and none by a loopback address',
  on: controller,
  severity: 'blocker',
  because:
    "With --limit and no cached facts the address falls back to 127.0.0.1, and the balancer then sends the API's traffic back to itself.",
  source: [kubespray('roles/network_facts/tasks/main.yaml'), issue(11587, 12182)],
  fix: `${remedy.inventory} Before a run with --limit, run facts.yml.`,
  judge: ({ cluster, check }) => {
    const addresses = cluster.inventory.members('k8s_cluster').map(host => cluster.mainAccessIp(host))
    check.equal('different addresses', new Set(addresses).size, addresses.length)
    check.none(
      'loopback addresses',
      addresses.filter(address => inNetwork(address, '127.0.0.0/8') || address === '::1'),
    )
  },
  refutedBy: {
    'two hosts with one access_ip': {
      edit: edit => edit.vars({ access_ip: '192.0.2.1' }),
      also: ['inv-etcd-member-name', 'inv-first-cp-matches-cluster'],
    },
    'a loopback address': {
      edit: edit => edit.text('controller/inventory/inventory.ini', text => text.replace(/ ip=\S+/, ' ip=127.0.0.1')),
      also: ['inv-etcd-member-name', 'inv-first-cp-matches-cluster', 'var-flannel-interface'],
    },
  },
})

invariant('inv-etcd-member-name', {
  title: 'The etcd member bears the name that the inventory gives it',
  on: etcdMembers,
  severity: 'critical',
  because:
    'Scaling and recovery find members by that name; a wrong one adds a second member for the same host, or removes the wrong one.',
  source: [seed('host vars'), kubespray('roles/kubespray_defaults/defaults/main/main.yml')],
  fix: remedy.inventory,
  judge: ({ cluster, node, check }) => {
    const { members } = node.etcdMembers
    const own = members.find(({ peerURLs }) => peerURLs.includes(`https://${cluster.mainAccessIp(node.name)}:2380`))
    check.equal("name of the member with this host's peer URL", own?.name, cluster.etcdMemberName(node.name))
    const named = cluster.inventory
      .members('k8s_cluster')
      .filter(host => cluster.want(host).etcd_member_name !== undefined)
    check.none(
      'hosts outside of group etcd with an etcd_member_name',
      named.filter(host => !cluster.isEtcdMember(host)),
    )
  },
  dependsOn: ['etcd-members'],
  refutedBy: {
    'the live member has another name': {
      edit: edit =>
        edit.json('etcd-member-list', list => {
          const name = /^ETCD_NAME=(\S+)$/m.exec(edit.content('/etc/etcd.env'))?.[1]
          for (const member of list.members) if (member.name === name) member.name = 'stray'
        }),
      also: ['etcd-members', 'etcd-env-initial-cluster'],
    },
  },
})

invariant('inv-etcd-name-indexed', {
  title: 'etcd members are named etcd1, etcd2, … in the order of the group',
  on: controller,
  severity: 'critical',
  because:
    'join_etcd_member.yml builds the peers\' list from "etcd" and the position: other names make a new member fail to join.',
  source: [kubespray('roles/etcd/tasks/join_etcd_member.yml'), issue(11560, 2958)],
  fix: remedy.inventory,
  judge: ({ cluster, check }) => {
    const names = cluster.inventory.members('etcd').map(host => cluster.etcdMemberName(host))
    check.equal(
      'member names in inventory order',
      names,
      names.map((_, index) => `etcd${index + 1}`),
    )
  },
  refutedBy: {
    'names in another order': {
      edit: edit => edit.text('controller/inventory/inventory.ini', swapNames),
      also: ['inv-etcd-member-name'],
    },
  },
})

invariant('inv-hostname-regex', {
  title: "The name of the host's Node is a DNS name",
  on: allNodes,
  severity: 'critical',
  because:
    'Kubernetes refuses other names; a Node under another name is one that no certificate and no static pod belongs to.',
  source: [
    kubespray('roles/kubernetes/preinstall/tasks/0040-verify-settings.yml'),
    kubespray('roles/kubespray_defaults/defaults/main/main.yml (kube_override_hostname)'),
  ],
  fix: remedy.inventory,
  correction: "That the Node bears the name is node-ready's.",
  judge: ({ cluster, node, check }) => {
    const name = cluster.nodeName(node.name)
    const valid = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
    check.that(
      'the name',
      cluster.inventory.hosts.includes(node.name) && valid.test(name),
      name,
      'lower-case letters, digits, - and .',
    )
  },
  refutedBy: {
    'capitals and underscores': edit => edit.vars({ kube_override_hostname: 'Node_1' }),
  },
})

invariant('inv-first-cp-matches-cluster', {
  title: 'The first control plane of the inventory is the one that the cluster names as its endpoint',
  on: controller,
  severity: 'critical',
  because:
    'Kubespray takes the first host as the one to copy certificates from: a new host put first issues a new CA and breaks the cluster.',
  source: [kubespray('docs/operations/nodes.md'), issue(10863, 12437)],
  fix: `Append new control planes at the end of the group. ${remedy.kubeadmConfigMaps}`,
  judge: ({ cluster, check }) => {
    const first = `${cluster.mainAccessIp(cluster.inventory.members('kube_control_plane')[0] ?? '')}:${cluster.firstControlPlaneWant.kube_apiserver_port}`
    check.equal(
      'controlPlaneEndpoint in ConfigMap kubeadm-config',
      cluster.api.kubeadmConfig.get('controlPlaneEndpoint'),
      first,
    )
    check.equal('server in ConfigMap cluster-info', cluster.api.clusterInfo.server, `https://${first}`)
  },
  dependsOn: ['cp-kubeadm-config-cm', 'cp-cluster-info-cm'],
  refutedBy: {
    'another control plane stands first': {
      edit: edit =>
        edit.text('controller/inventory/inventory.ini', text =>
          text.replace(/(\[kube_control_plane\]\n)(.*\n)(.*\n)/, '$1$3$2'),
        ),
      also: ['inv-etcd-name-indexed'],
    },
  },
})

invariant('inv-hostvars-uniform', {
  title: 'Paths and ports that hosts must agree on are the same on all of them',
  on: controller,
  severity: 'normal',
  because: 'One host with another port or folder is reached, backed up and upgraded in the wrong place.',
  source: [seed('host vars')],
  fix: remedy.inventory,
  judge: ({ cluster, check }) => {
    const names = [
      'bin_dir',
      'etcd_data_dir',
      'loadbalancer_apiserver_port',
      'loadbalancer_apiserver_healthcheck_port',
      'kube_apiserver_port',
    ] as const
    const hosts = cluster.inventory.members('k8s_cluster')
    for (const name of names) {
      check.equal(`different values of ${name}`, new Set(hosts.map(host => cluster.want(host)[name])).size, 1)
    }
  },
  refutedBy: {
    'one host with another bin_dir': edit =>
      edit.text('controller/inventory/inventory.ini', text =>
        text.replace(/^(\S+ ansible_host=.*)$/m, '$1 etcd_data_dir=/data/etcd'),
      ),
  },
})

invariant('inv-kubespray-release', {
  title: 'A known Kubespray release deployed the cluster, without changes of its own',
  on: controller,
  severity: 'blocker',
  because:
    'The release decides every default that the cluster is compared with; a changed checkout deploys something that no release describes.',
  source: [seed('Kubespray version'), 'git describe --tags in the Kubespray checkout'],
  fix: 'Check out a release tag of Kubespray. State deliberate changes as expectation overrides, with a reason.',
  correction:
    'The catalogue also asks for a clean worktree. The documented remedy of the nginx limit edits a template, so a difference is declared as an expectation override instead, and git status is not among the evidence.',
  judge: ({ cluster, check }) => {
    const { tag, beyond } = cluster.controller.kubesprayVersion
    check.equal('release', tag, cluster.release.tag)
    check.equal('commits beyond the release', beyond, undefined)
  },
  refutedBy: {
    'three commits beyond the tag': edit =>
      edit.text('controller/kubespray-version.txt', text => `${text.trim()}-3-gabc1234\n`),
  },
})

invariant('inv-tags-exist', {
  title: 'Every tag that operations rely on exists in the playbook',
  on: controller,
  severity: 'minor',
  because: "ansible-playbook runs with an unknown tag and changes nothing: the seed's tag `kubernetes` is such a one.",
  source: [seed('playbook tags'), 'ansible-playbook cluster.yml --list-tags'],
  fix: 'Use tags that --list-tags shows (node, kubelet, kubeadm, control-plane, client instead of kubernetes).',
  judge: ({ cluster, check }) => {
    const tags = [
      'containerd',
      'etcd',
      'network',
      'apps',
      'nginx',
      'kubelet',
      'kube-proxy',
      'kubeadm',
      'control-plane',
      'download',
      'bootstrap_os',
      'preinstall',
    ]
    check.includes('tags of cluster.yml', cluster.controller.playbookTags, tags)
  },
  suppliedBy: edit =>
    edit.addText(
      'controller/list-tags.txt',
      'playbook: cluster.yml\n\n  play #1 (all): Check\tTAGS: [always]\n      TASK TAGS: [always, apps, bootstrap_os, containerd, control-plane, download, etcd, kube-proxy, kubeadm, kubelet, network, nginx, preinstall]\n',
    ),
  refutedBy: {
    'the tag nginx is gone': edit => edit.text('controller/list-tags.txt', text => text.replace('nginx, ', '')),
  },
})

invariant('inv-playbook-lists', {
  title: 'The playbook lists its tasks with this inventory',
  on: controller,
  severity: 'normal',
  because:
    'A playbook that can not even be listed misses a role, a collection or a variable: the next run stops at once.',
  source: [seed('list of tasks (--list-tasks)'), 'ansible-playbook cluster.yml --list-tasks'],
  fix: 'Install the collections and Python packages of the Kubespray checkout (requirements.txt) and correct the inventory.',
  correction: 'The seed calls it a dry run: it only lists tasks; a dry run is --check.',
  judge: ({ cluster, check }) => {
    const listed = cluster.controller.listedTasks
    check.includes('plays', listed.plays, [
      'Install etcd',
      'Install Kubernetes nodes',
      'Install the control plane',
      'Invoke kubeadm and install a CNI',
      'Install Kubernetes apps',
    ])
    check.atLeast('tasks', listed.tasks, 100)
  },
  suppliedBy: edit =>
    edit.addText(
      'controller/list-tasks.txt',
      `playbook: cluster.yml\n${[
        'Install etcd',
        'Install Kubernetes nodes',
        'Install the control plane',
        'Invoke kubeadm and install a CNI',
        'Install Kubernetes apps',
      ]
        .map(
          (play, index) =>
            `\n  play #${index + 1} (all): ${play}\tTAGS: []\n    tasks:\n${'      role : task\tTAGS: [x]\n'.repeat(30)}`,
        )
        .join('')}`,
    ),
  refutedBy: {
    'a play is missing': edit =>
      edit.text('controller/list-tasks.txt', text => text.replace('Install the control plane', 'x')),
    'it stops half way': edit =>
      edit.text('controller/list-tasks.txt', text => text.replaceAll('      role : task\tTAGS: [x]\n', '')),
  },
})

/** Exchanges the names of the first two etcd members. */
function swapNames(text: string): string {
  return text.replace(/etcd_member_name=etcd([12])/g, (_, n: string) => `etcd_member_name=etcd${n === '1' ? '2' : '1'}`)
}
