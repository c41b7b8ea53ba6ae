import { inNetwork } from '../../helpers/expectations/expectations.ts'
import { allNodes, plane, workers, topology } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('host')

invariant('hosts-localhost-v4', {
  title: 'localhost is 127.0.0.1',
  on: workers,
  severity: 'blocker',
  because:
    'The kubelet calls https://localhost:6443, and nginx listens on 127.0.0.1 only: where localhost is ::1 the worker loses the API.',
  source: [kubespray('roles/kubespray_defaults/defaults/main/main.yml (kube_apiserver_endpoint)'), issue(12382, 77)],
  fix: 'Let /etc/hosts map localhost to 127.0.0.1, or set ipv6_stack so that nginx listens on [::1] as well.',
  correction: '/etc/hosts may name ::1 too: what the resolver answers counts, not the file.',
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const addresses = node.localhostAddresses
    check.that(
      'the first address of localhost',
      inNetwork(addresses[0] ?? '', '127.0.0.0/8') || want.ipv6_stack,
      addresses,
      '127.0.0.1 first',
    )
  },
  refutedBy: {
    'localhost is ::1': edit => edit.output('getent-localhost', text => text.replaceAll('127.0.0.1', '::1      ')),
  },
})

invariant('hosts-no-stale-block', {
  title: '/etc/hosts names no host of the cluster with an old address',
  on: allNodes,
  severity: 'normal',
  because: 'Since v2.29 Kubespray no longer refreshes its block: a re-addressed host is reached at its old address.',
  source: ['kubernetes-sigs/kubespray commit 15c8a4768'],
  fix: 'Remove the block between "# Ansible inventory hosts BEGIN" and END, or correct it.',
  judge: ({ cluster, node, check }) => {
    check.that(
      'a block written by Ansible',
      cluster.release.managesHosts || !node.hosts.ansibleBlock,
      'there is one',
      'none since v2.29',
    )
    const stale = node.hosts.entries.filter(
      ({ address, names }) =>
        !inNetwork(address, '127.0.0.0/8') &&
        cluster.expectations.machines.some(
          host => names.includes(host) && ![cluster.mainIp(host), cluster.mainAccessIp(host)].includes(address),
        ),
    )
    check.none(
      'entries with another address than the inventory',
      stale.map(({ address, names }) => `${address} ${names.join(' ')}`),
    )
  },
  refutedBy: {
    'a left-over block': edit =>
      edit.file(
        '/etc/hosts',
        text =>
          `${text}# Ansible inventory hosts BEGIN\n192.0.2.9 ${edit.others[0] ?? ''}\n# Ansible inventory hosts END\n`,
      ),
    'an old address': edit => edit.file('/etc/hosts', text => `${text}192.0.2.9 ${edit.others[0] ?? ''}\n`),
  },
})

invariant('resolv-has-upstream', {
  title: 'The resolver file that the kubelet hands to pods has a real upstream',
  on: allNodes,
  severity: 'critical',
  because: 'With only loopback or the cluster\'s own DNS in it CoreDNS asks itself and stops with "Loop".',
  source: [kubespray('roles/kubernetes/node/vars (kube_resolv_conf)'), issue(11093)],
  fix: remedy.host,
  judge: ({ node, want, check }) => {
    const upstreams = node.resolvConf.nameservers.filter(
      address =>
        !inNetwork(address, '127.0.0.0/8') &&
        address !== '::1' &&
        address !== want.skydns_server &&
        address !== want.nodelocaldns_ip,
    )
    check.atLeast('nameservers beyond loopback and the cluster', upstreams.length, 1)
  },
  refutedBy: {
    "only the cluster's DNS": edit =>
      edit.file('/etc/resolv.conf', text =>
        text
          .split('\n')
          .filter(
            (line, index, lines) =>
              !line.startsWith('nameserver') || lines.findIndex(one => one.startsWith('nameserver')) === index,
          )
          .join('\n'),
      ),
  },
})

invariant('resolv-host-mode', {
  title: 'The host itself resolves names of the cluster',
  on: allNodes,
  severity: 'normal',
  because: 'Host processes that call Services by name (webhooks, storage) need it.',
  source: [kubespray('roles/kubernetes/preinstall/tasks/0060-resolvconf.yml')],
  fix: remedy.host,
  unless: ({ want }) =>
    want.resolvconf_mode === 'host_resolvconf' ? undefined : `resolvconf_mode is ${want.resolvconf_mode}`,
  judge: ({ node, want, check }) => {
    const { nameservers, search, options } = node.resolvConf
    check.equal(
      'first nameserver',
      nameservers[0],
      want.enable_nodelocaldns ? want.nodelocaldns_ip : want.skydns_server,
    )
    check.equal('search', search, [`default.svc.${want.dns_domain}`, `svc.${want.dns_domain}`])
    check.sameSet('options', options, ['ndots:2', 'timeout:2', 'attempts:2'])
  },
  refutedBy: {
    'another nameserver first': edit =>
      edit.file('/etc/resolv.conf', text => text.replace(/^nameserver /m, 'nameserver 192.0.2.53\nnameserver ')),
    'another search list': edit =>
      edit.file('/etc/resolv.conf', text => text.replace(/^search .*$/m, 'search example.org')),
    'other options': edit => edit.file('/etc/resolv.conf', text => text.replace('ndots:2', 'ndots:5')),
  },
})

invariant('fw-ports', {
  title: 'The node reaches every API server, and its kubelet is reached',
  on: allNodes,
  severity: 'blocker',
  because: 'A firewall between them shows only when the one open way fails.',
  source: [
    kubespray('docs/operations/port-requirements.md (its 10257 and 10259 are swapped)'),
    seed('API server access'),
  ],
  fix: 'Open 6443 from every node to every control plane, 2379, 2380 and 10250 between nodes, and UDP 8472 for flannel.',
  correction:
    'Ports are proven by what passed: /version from every control plane, and the kubelet scraped by metrics-server. UDP 8472 shows in net-vxlan-up only.',
  dependsOn: ['cp-version-uniform', 'addon-metrics-works'],
  judge: ({ cluster, node, check }) => {
    for (const host of cluster.expectations.controlPlanes) {
      const { gitVersion } = node.apiVersion(`curl-version-${cluster.mainAccessIp(host)}`)
      check.that(`/version of ${host}`, gitVersion.startsWith('v'), gitVersion, 'a version')
    }
    check.includes(
      'nodes whose kubelet answered metrics-server',
      cluster.api.nodeMetrics.map(({ metadata }) => metadata.name),
      [cluster.nodeName(node.name)],
    )
  },
  refutedBy: {
    'the kubelet was not reached': {
      edit: edit => edit.api('metrics-nodes', items => items.filter(item => item.metadata.name !== edit.node)),
      also: ['addon-metrics-works'],
    },
  },
})

invariant('nm-unmanaged', {
  title: 'NetworkManager leaves the interfaces of the cluster alone',
  on: allNodes,
  severity: 'minor',
  because: 'It takes addresses off interfaces that it thinks are its own.',
  source: [
    kubespray('roles/kubernetes/preinstall/tasks/0062-networkmanager-unmanaged-devices.yml'),
    seed('Rocky Linux 10'),
  ],
  fix: remedy.host,
  unless: ({ node }) =>
    /\b(rhel|fedora|centos)\b/.test(node.osRelease.get('ID_LIKE') ?? '')
      ? undefined
      : 'this distribution does not run NetworkManager on servers',
  judge: ({ node, check }) => {
    const devices = node.unmanagedDevices
    check.includes('unmanaged-devices', devices, ['interface-name:kube-ipvs0', 'interface-name:nodelocaldns'])
  },
  suppliedBy: edit => {
    edit.file('/etc/os-release', () => 'ID=rocky\nID_LIKE="rhel centos fedora"\n')
    edit.addCommand(
      'networkmanager-unmanaged',
      '[keyfile]\nunmanaged-devices+=interface-name:kube-ipvs0;interface-name:nodelocaldns\n',
    )
  },
  refutedBy: {
    'nodelocaldns is managed': edit =>
      edit.output('networkmanager-unmanaged', text => text.replace(';interface-name:nodelocaldns', '')),
  },
})
