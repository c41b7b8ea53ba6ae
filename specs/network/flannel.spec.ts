import { inNetwork } from '../../helpers/expectations/expectations.ts'
import { allNodes, plane, wholeCluster } from '../../helpers/invariant/invariant.ts'
import type { ClusterContext } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('network')
const role = (file: string) => kubespray(`roles/network_plugin/flannel/${file}`)
const unlessFlannel = ({ want }: ClusterContext) =>
  want.kube_network_plugin === 'flannel' ? undefined : `kube_network_plugin is ${want.kube_network_plugin}`

invariant('net-podcidr', {
  title: "Every node has a pod network of its own, of the right size, within the pods' network",
  on: wholeCluster,
  severity: 'blocker',
  because: "Two nodes with one network answer for each other's pods.",
  source: [seed('podCIDR')],
  fix: remedy.network,
  correction: 'kube-controller-manager allots them, not the network plugin; their order is chance.',
  judge: ({ cluster, want, check }) => {
    const networks = cluster.api.nodes.map(({ metadata, spec }) => ({ name: metadata.name, cidr: spec.podCIDR }))
    check.equal('Nodes', networks.length, cluster.expectations.nodes.length)
    check.equal('different pod networks', new Set(networks.map(({ cidr }) => cidr)).size, networks.length)
    for (const { name, cidr } of networks) {
      const [address = '', bits] = cidr.split('/')
      check.that(
        `podCIDR of ${name}`,
        inNetwork(address, want.kube_pods_subnet),
        cidr,
        `within ${want.kube_pods_subnet}`,
      )
      check.equal(`prefix of ${name}`, bits, String(want.kube_network_node_prefix))
    }
  },
  dependsOn: ['node-no-strangers', 'node-ready'],
  refutedBy: {
    'two with one': {
      edit: edit =>
        edit.api('nodes', items => {
          items[1].spec.podCIDR = items[0].spec.podCIDR
          return undefined
        }),
      also: ['net-subnet-env', 'net-vxlan-up'],
    },
    'outside of the network': {
      edit: edit =>
        edit.api('nodes', items => {
          items[0].spec.podCIDR = '10.244.0.0/24'
          return undefined
        }),
      also: ['net-subnet-env', 'net-vxlan-up'],
    },
    'of another size': {
      edit: edit =>
        edit.api('nodes', items => {
          items[0].spec.podCIDR = items[0].spec.podCIDR.replace(/\/\d+$/, '/26')
          return undefined
        }),
      also: ['net-subnet-env', 'net-vxlan-up'],
    },
  },
})

invariant('net-flannel-ds', {
  title: 'flannel runs on every node, and for no architecture that is not there',
  on: wholeCluster,
  severity: 'blocker',
  because: 'A node without it has no pod network.',
  source: [role('templates/cni-flannel.yml.j2'), seed('pods')],
  fix: remedy.network,
  unless: unlessFlannel,
  judge: ({ cluster, want, check }) => {
    const sets = cluster.api.daemonSets.filter(({ metadata }) => metadata.name.startsWith('kube-flannel'))
    const total = (count: (set: (typeof sets)[number]) => number) => sets.reduce((sum, set) => sum + count(set), 0)
    check.equal(
      'desired pods',
      total(({ status }) => status.desiredNumberScheduled),
      cluster.expectations.nodes.length,
    )
    check.equal(
      'ready pods',
      total(({ status }) => status.numberReady),
      cluster.expectations.nodes.length,
    )
    const busy = sets.filter(({ status }) => status.desiredNumberScheduled > 0)
    for (const { metadata, spec } of busy)
      check.equal(
        `image of ${metadata.name}`,
        spec.template.spec.containers[0]?.image,
        `${want.flannel_image_repo}:v${want.flannel_version}`,
      )
  },
  refutedBy: {
    'one is not ready': edit =>
      edit.object('daemonsets', 'kube-flannel', set => {
        set.status.numberReady -= 1
      }),
    'another image': edit =>
      edit.object('daemonsets', 'kube-flannel', set => {
        set.spec.template.spec.containers[0].image = 'flannel:v0.1.0'
      }),
  },
})

invariant('net-flannel-args', {
  title: 'flannel uses the interface of the inventory',
  on: allNodes,
  severity: 'critical',
  because: 'On the wrong one the tunnels end at the NAT address that all nodes share.',
  source: [seed('Flannel'), role('templates/cni-flannel.yml.j2'), issue(2114)],
  fix: remedy.network,
  correction: 'The arguments are in `command`, not in `args`.',
  unless: unlessFlannel,
  judge: ({ cluster, node, want, check }) => {
    const expected = [
      '--ip-masq',
      '--kube-subnet-mgr',
      ...(want.flannel_interface === undefined ? [] : [`--iface=${want.flannel_interface}`]),
    ]
    const running = node.processes.find(({ name }) => name === 'flanneld')
    check.includes('arguments of flanneld', running?.args ?? [], expected)
    const sets = cluster.api.daemonSets.filter(
      ({ metadata, status }) => metadata.name.startsWith('kube-flannel') && status.desiredNumberScheduled > 0,
    )
    for (const { metadata, spec } of sets)
      check.includes(`command of ${metadata.name}`, spec.template.spec.containers[0]?.command ?? [], expected)
  },
  refutedBy: {
    'the process uses another': edit => edit.output('process-args', text => text.replace(/--iface=.*/, '--iface=nat0')),
    'it does not masquerade': edit => edit.output('process-args', text => text.replace('--ip-masq\n', '')),
  },
})

invariant('net-flannel-cm', {
  title: "flannel's configuration has the pods' network and the backend of the inventory",
  on: wholeCluster,
  severity: 'critical',
  because: 'Nodes that read another one build other tunnels.',
  source: [role('defaults/main.yml')],
  fix: remedy.network,
  unless: unlessFlannel,
  judge: ({ cluster, want, check }) => {
    const { Network, Backend } = cluster.api.flannelConfig
    check.equal('Network', Network, want.kube_pods_subnet)
    check.equal('Backend.Type', Backend.Type, want.flannel_backend_type)
    check.equal('Backend.VNI', Backend.VNI, want.flannel_vxlan_vni)
    check.equal('Backend.Port', Backend.Port, want.flannel_vxlan_port)
    check.equal('Backend.DirectRouting', Backend.DirectRouting, want.flannel_vxlan_direct_routing)
  },
  refutedBy: {
    'another network': edit =>
      edit.configMap('kube-flannel-cfg', 'net-conf.json', text =>
        text.replace(/"Network": ".*"/, '"Network": "10.244.0.0/16"'),
      ),
    'another backend': edit =>
      edit.configMap('kube-flannel-cfg', 'net-conf.json', text => text.replace('"vxlan"', '"host-gw"')),
    'another port': edit => edit.configMap('kube-flannel-cfg', 'net-conf.json', text => text.replace('8472', '4789')),
  },
})

invariant('net-subnet-env', {
  title: 'flannel gave the node the network that the API says',
  on: allNodes,
  severity: 'critical',
  because: 'Pods get their addresses from it: another network is one that no other node routes here.',
  source: [role('tasks/main.yml')],
  fix: remedy.network,
  unless: unlessFlannel,
  dependsOn: ['node-ready', 'net-podcidr', 'var-flannel-interface'],
  judge: ({ cluster, node, want, check }) => {
    const env = node.flannelSubnet
    const cidr =
      cluster.api.nodes.find(({ metadata }) => metadata.name === cluster.nodeName(node.name))?.spec.podCIDR ?? ''
    check.equal('FLANNEL_NETWORK', env.get('FLANNEL_NETWORK'), want.kube_pods_subnet)
    check.equal('FLANNEL_SUBNET', env.get('FLANNEL_SUBNET'), cidr.replace(/\.0\//, '.1/'))
    const mtu = node.interfaces.find(({ ifname }) => ifname === want.flannel_interface)?.mtu ?? 0
    check.equal('FLANNEL_MTU', env.get('FLANNEL_MTU'), String(mtu - 50))
  },
  refutedBy: {
    'another subnet': edit =>
      edit.file('/run/flannel/subnet.env', text => text.replace(/FLANNEL_SUBNET=.*/, 'FLANNEL_SUBNET=10.244.9.1/24')),
    'another network': edit =>
      edit.file('/run/flannel/subnet.env', text => text.replace(/FLANNEL_NETWORK=.*/, 'FLANNEL_NETWORK=10.244.0.0/16')),
    "no room for the tunnel's header": edit =>
      edit.file('/run/flannel/subnet.env', text => text.replace(/FLANNEL_MTU=.*/, 'FLANNEL_MTU=1500')),
  },
})

invariant('net-public-ip', {
  title: 'flannel announces the address on flannel_interface',
  on: allNodes,
  severity: 'blocker',
  because:
    'Announced with the NAT address 10.0.2.15 all nodes have the same tunnel end, and no pod reaches another node.',
  source: [issue(2114, 1981)],
  fix: 'Set flannel_interface, then cluster.yml --tags network.',
  unless: unlessFlannel,
  dependsOn: ['node-ready', 'node-no-strangers', 'var-flannel-interface'],
  judge: ({ cluster, node, want, check }) => {
    const found = cluster.api.nodes.find(({ metadata }) => metadata.name === cluster.nodeName(node.name))
    const announced = found?.metadata.annotations['flannel.alpha.coreos.com/public-ip'] ?? ''
    const nic = node.interfaces.find(({ ifname }) => ifname === want.flannel_interface)
    check.includes(
      `addresses of ${want.flannel_interface ?? 'flannel_interface'}`,
      nic?.addr_info.map(({ local }) => local) ?? [],
      [announced],
    )
    const same = cluster.api.nodes.filter(
      ({ metadata }) => metadata.annotations['flannel.alpha.coreos.com/public-ip'] === announced,
    )
    check.equal('Nodes that announce it', same.length, 1)
  },
  refutedBy: {
    'the NAT address': edit =>
      edit.object('nodes', edit.node, ({ metadata }) => {
        metadata.annotations['flannel.alpha.coreos.com/public-ip'] = '10.0.2.15'
      }),
  },
})

invariant('net-cni-conf', {
  title: "flannel's is the only CNI configuration, and its plugins are installed",
  on: allNodes,
  severity: 'critical',
  because: 'containerd takes the first file by name: a left-over of another plugin wins.',
  source: [role('tasks/main.yml'), kubespray('roles/network_plugin/cni')],
  fix: remedy.network,
  unless: unlessFlannel,
  judge: ({ node, check }) => {
    check.equal('in /etc/cni/net.d', node.cniFiles.names('/etc/cni/net.d'), ['10-flannel.conflist'])
    check.includes('in /opt/cni/bin', node.cniFiles.names('/opt/cni/bin'), [
      'flannel',
      'portmap',
      'bridge',
      'host-local',
      'loopback',
    ])
    check.equal(
      'plugins in 10-flannel.conflist',
      node.cniConfig.plugins.map(({ type }) => type),
      ['flannel', 'portmap'],
    )
  },
  refutedBy: {
    'another configuration': edit =>
      edit.output('cni-listing', text => `${text}-rw-r--r-- root root 9 1795388174.0 /etc/cni/net.d/05-other.conf\n`),
    'portmap is not installed': edit => edit.output('cni-listing', text => text.replace(/^.*\/portmap\n/m, '')),
    'another chain': edit =>
      edit.file('/etc/cni/net.d/10-flannel.conflist', text => text.replace('"portmap"', '"bandwidth"')),
  },
})

invariant('net-vxlan-up', {
  title: 'The tunnel is up, with a route and a forwarding entry to every other node',
  on: allNodes,
  severity: 'blocker',
  because: 'A missing one is a pair of nodes whose pods do not reach each other.',
  source: [role('defaults/main.yml'), 'ip route, bridge fdb on the node'],
  fix: 'Delete the kube-flannel pod of the node; look for a firewall on UDP 8472.',
  correction: 'operstate of flannel.1 is UNKNOWN by nature: its flags count.',
  unless: context =>
    unlessFlannel(context) ??
    (context.want.flannel_backend_type === 'vxlan'
      ? undefined
      : `flannel_backend_type is ${context.want.flannel_backend_type}`),
  dependsOn: ['node-ready', 'node-no-strangers', 'net-public-ip'],
  judge: ({ cluster, node, want, check }) => {
    const device = `flannel.${want.flannel_vxlan_vni}`
    const link = node.interfaces.find(({ ifname }) => ifname === device)
    check.includes(`flags of ${device}`, link?.flags ?? [], ['UP'])
    const others = cluster.api.nodes.filter(({ metadata }) => metadata.name !== cluster.nodeName(node.name))
    const routed = node.routes.filter(({ dev }) => dev === device).map(({ dst }) => dst)
    check.sameSet(
      `routes through ${device}`,
      routed,
      others.map(({ spec }) => spec.podCIDR),
    )
    const forwarded = node.flannelForwarding.map(({ dst }) => dst ?? '')
    check.sameSet(
      'forwarding entries',
      forwarded,
      others.map(({ metadata }) => metadata.annotations['flannel.alpha.coreos.com/public-ip'] ?? ''),
    )
  },
  refutedBy: {
    'the device is down': edit =>
      edit.json('ip-addr', links => {
        for (const link of links) if (link.ifname.startsWith('flannel')) link.flags = ['BROADCAST']
      }),
    'a route is missing': edit =>
      edit.json('ip-route', list => {
        list.splice(
          list.findIndex((one: { dev: string }) => one.dev.startsWith('flannel')),
          1,
        )
      }),
    'a forwarding entry is missing': edit =>
      edit.json('bridge-fdb-flannel', list => {
        list.pop()
      }),
  },
})

invariant('dns-svc', {
  title: 'The DNS Service has its fixed address and at least two endpoints',
  on: wholeCluster,
  severity: 'blocker',
  because: "It is the address in every pod's resolv.conf.",
  source: [kubespray('roles/kubernetes-apps/ansible/templates/coredns-svc.yml.j2')],
  fix: remedy.addons,
  judge: ({ cluster, want, check }) => {
    const service = cluster.api.services.find(
      ({ metadata }) => metadata.namespace === 'kube-system' && metadata.name === 'coredns',
    )
    check.equal('clusterIP', service?.spec.clusterIP, want.skydns_server)
    check.sameSet(
      'ports',
      service?.spec.ports.filter(({ port }) => port === 53).map(({ protocol }) => protocol) ?? [],
      ['UDP', 'TCP'],
    )
    const ready = cluster.api.endpointSlices
      .filter(({ metadata }) => metadata.labels['kubernetes.io/service-name'] === 'coredns')
      .flatMap(({ endpoints }) => endpoints.filter(({ conditions }) => conditions.ready))
    check.atLeast('ready endpoints', ready.length, Math.min(2, want.coredns_replicas))
  },
  refutedBy: {
    'another address': edit =>
      edit.object('services', 'coredns', ({ spec }) => {
        spec.clusterIP = '10.233.0.99'
      }),
    'one endpoint': edit =>
      edit.object(
        'endpointslices',
        item => item.metadata.name.startsWith('coredns'),
        slice => {
          slice.endpoints.pop()
        },
      ),
    'no TCP': edit =>
      edit.object('services', 'coredns', ({ spec }) => {
        spec.ports = spec.ports.filter((one: { name: string }) => one.name !== 'dns-tcp')
      }),
  },
})
