import { kubernetesVersion, inNetwork, networksOverlap, prefixLength } from '../../helpers/expectations/expectations.ts'
import { allNodes, controller, controlPlanes, plane, wholeCluster, workers } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('inventory')
const defaults = kubespray('roles/kubespray_defaults/defaults/main/main.yml')
const validation = kubespray('roles/validate_inventory/tasks/main.yml')

invariant('var-localhost-lb-on', {
  title: 'The localhost balancer is on',
  on: controller,
  severity: 'blocker',
  because: 'Without it every worker hangs on the first control plane.',
  source: [defaults, issue(11711)],
  fix: remedy.inventory,
  dependsOn: ['var-no-external-lb'],
  correction: "That the kubelets use it is kl-worker-server's.",
  judge: ({ want, check }) =>
    check.equal('loadbalancer_apiserver_localhost', want.loadbalancer_apiserver_localhost, true),
  refutedBy: {
    'switched off in the inventory': edit => edit.vars({ loadbalancer_apiserver_localhost: false }),
  },
})

invariant('var-no-external-lb', {
  title: 'No external load balancer is set beside the localhost balancer',
  on: controller,
  severity: 'blocker',
  because:
    'Where loadbalancer_apiserver is set it wins for every node, control planes included: nginx runs, and nothing uses it.',
  source: [defaults, seed('advantages')],
  fix: 'Take loadbalancer_apiserver out, or describe the cluster as one behind an external load balancer.',
  judge: ({ cluster, check }) =>
    check.none(
      'hosts with loadbalancer_apiserver',
      cluster.inventory.members('k8s_cluster').filter(host => cluster.want(host).loadbalancer_apiserver !== undefined),
    ),
  refutedBy: {
    'an external load balancer': {
      edit: edit => edit.vars({ loadbalancer_apiserver: { address: '192.0.2.1', port: 6443 } }),
      also: ['var-localhost-lb-on'],
    },
  },
})

invariant('var-lb-type', {
  title: 'The localhost balancer is nginx',
  on: controller,
  severity: 'critical',
  because: 'haproxy in its place has other files, ports and limits: what is said of nginx would say nothing of it.',
  source: [defaults],
  fix: 'Set loadbalancer_apiserver_type: nginx and run cluster.yml again, or judge the cluster by another suite.',
  correction: "That nginx is what runs is lb-image's.",
  judge: ({ want, check }) => check.equal('loadbalancer_apiserver_type', want.loadbalancer_apiserver_type, 'nginx'),
  refutedBy: {
    'haproxy in the inventory': edit => edit.vars({ loadbalancer_apiserver_type: 'haproxy' }),
  },
})

invariant('var-lb-port-equal', {
  title: 'The balancer listens on the port of the API server',
  on: controller,
  severity: 'blocker',
  because:
    'kube-proxy is pointed at 127.0.0.1 and kube_apiserver_port on every node: with another balancer port it dials a closed one on workers.',
  source: [kubespray('inventory/sample/group_vars/all/all.yml'), kubespray('roles/kubernetes/kubeadm/tasks/main.yml')],
  fix: remedy.inventory,
  judge: ({ want, check }) =>
    check.equal('loadbalancer_apiserver_port', want.loadbalancer_apiserver_port, want.kube_apiserver_port),
  refutedBy: {
    'another balancer port': edit => edit.vars({ loadbalancer_apiserver_port: 7443 }),
  },
})

invariant('var-healthcheck-port', {
  title: "The balancer's health check port is set",
  on: controller,
  severity: 'normal',
  because:
    'No role gives it a default: unset, nginx-proxy has neither probes nor /healthz, and a hung balancer is never restarted.',
  source: [
    kubespray('inventory/sample/group_vars/all/all.yml'),
    kubespray('roles/kubernetes/node/templates/loadbalancer/nginx.conf.j2'),
  ],
  fix: remedy.inventory,
  judge: ({ want, check }) =>
    check.that(
      'loadbalancer_apiserver_healthcheck_port',
      want.loadbalancer_apiserver_healthcheck_port !== undefined,
      want.loadbalancer_apiserver_healthcheck_port,
      'a port',
    ),
  refutedBy: {
    'the port is not set': edit => edit.vars({ loadbalancer_apiserver_healthcheck_port: null }),
  },
})

invariant('var-apiserver-bind', {
  title: "The API servers bind the release's default address",
  on: controlPlanes,
  severity: 'blocker',
  because:
    'With any other address Kubespray puts nginx on control planes too, and the endpoint becomes https://<that address>:6443.',
  source: [defaults, kubespray('roles/kubernetes/node/tasks/main.yml'), issue(8259)],
  fix: remedy.inventory,
  dependsOn: ['cp-apiserver-bind'],
  judge: ({ cluster, node, want, check }) => {
    const standard = cluster.release.variables.kube_apiserver_bind_address.value
    check.equal('kube_apiserver_bind_address', want.kube_apiserver_bind_address, standard)
    check.equal('--bind-address', node.staticPod('kube-apiserver.yaml').flags.get('bind-address'), standard)
  },
  refutedBy: {
    'the default of old releases': edit => edit.vars({ kube_apiserver_bind_address: '0.0.0.0' }),
  },
})

invariant('var-network-plugin', {
  title: 'The network plugin of the inventory is the one that runs',
  on: wholeCluster,
  severity: 'normal',
  because: "Another plugin's leftovers fight over /etc/cni/net.d and the routes.",
  source: [seed('k8s-cluster.yml')],
  fix: remedy.inventory,
  dependsOn: ['net-flannel-ds'],
  judge: ({ cluster, want, check }) => {
    const plugins = ['flannel', 'calico', 'cilium', 'kube-router', 'kube-ovn', 'weave', 'macvlan']
    const running = plugins.filter(plugin =>
      cluster.api.daemonSets.some(
        ({ metadata, status }) => metadata.name.includes(plugin) && status.desiredNumberScheduled > 0,
      ),
    )
    check.equal('network plugins with pods', running, [want.kube_network_plugin])
  },
  refutedBy: {
    'calico runs beside it': edit =>
      edit.api('daemonsets', items => {
        const extra = structuredClone(items[0])
        extra.metadata.name = 'calico-node'
        extra.status.desiredNumberScheduled = 4
        return [...items, extra]
      }),
  },
})

invariant('var-proxy-mode', {
  title: 'kube-proxy runs in the mode of the inventory',
  on: wholeCluster,
  severity: 'normal',
  because: 'A cluster that was switched without cleaning up has two sets of service rules.',
  source: [seed('k8s-cluster.yml')],
  fix: remedy.kubeProxy,
  judge: ({ cluster, want, check }) =>
    check.equal('mode', cluster.api.kubeProxyConfig.get('mode'), want.kube_proxy_mode),
  refutedBy: {
    'ipvs in the ConfigMap': edit =>
      edit.configMap('kube-proxy', 'config.conf', text => text.replace(/^mode: .*$/m, 'mode: ipvs')),
  },
})

invariant('var-nodelocaldns-off', {
  title: 'NodeLocal DNSCache runs exactly where the inventory asks for it',
  on: wholeCluster,
  severity: 'normal',
  because: 'The kubelets hand its address to pods: without the cache behind it, no pod resolves a name.',
  source: [seed('k8s-cluster.yml')],
  fix: remedy.inventory,
  judge: ({ cluster, want, check }) => {
    const found = cluster.api.daemonSets.some(({ metadata }) => metadata.name.startsWith('nodelocaldns'))
    check.equal('a DaemonSet nodelocaldns', found, want.enable_nodelocaldns)
  },
  refutedBy: {
    'a DaemonSet that nobody asked for': {
      edit: edit =>
        edit.api('daemonsets', items => {
          const extra = structuredClone(items[0])
          extra.metadata.name = 'nodelocaldns'
          extra.status = { ...extra.status, desiredNumberScheduled: 0, numberReady: 0 }
          return [...items, extra]
        }),
      also: ['addon-no-autoscaler'],
    },
  },
})

invariant('var-kube-owner', {
  title: "Kubernetes' folders belong to the owner of the inventory",
  on: allNodes,
  severity: 'minor',
  because: 'The CNI plugins and kubelet run as root and read them: another owner can replace what root runs.',
  source: [seed('k8s-cluster.yml')],
  fix: remedy.inventory,
  judge: ({ node, want, check }) => {
    check.equal(
      `owner of ${want.kube_config_dir}`,
      node.etcKubernetes.get(want.kube_config_dir)?.owner,
      want.kube_owner,
    )
    check.equal('owner of /opt/cni/bin', node.cniFiles.get('/opt/cni/bin')?.owner, want.kube_owner)
  },
  refutedBy: {
    'the folder belongs to kube': edit =>
      edit.output('etc-kubernetes-listing', text => text.replace(/^(drwx\S+) \S+ /, '$1 kube ')),
    'the CNI folder belongs to kube': edit =>
      edit.output('cni-listing', text => text.replace(/^(\S+) \S+( .* \/opt\/cni\/bin)$/m, '$1 kube$2')),
  },
})

invariant('var-dns-autoscaler-off', {
  title: 'The DNS autoscaler runs exactly where the inventory asks for it',
  on: wholeCluster,
  severity: 'normal',
  because: 'It overrides the replica count of CoreDNS and takes memory that small clusters lack.',
  source: [seed('k8s-cluster.yml')],
  fix: remedy.addons,
  judge: ({ cluster, want, check }) => {
    const found = cluster.api.deployments.some(({ metadata }) => metadata.name === 'dns-autoscaler')
    check.equal('a Deployment dns-autoscaler', found, want.enable_dns_autoscaler)
  },
  refutedBy: {
    'the autoscaler is deployed': {
      edit: edit =>
        edit.api('deployments', items => [
          ...items,
          { ...structuredClone(items[0]), metadata: { ...items[0].metadata, name: 'dns-autoscaler' } },
        ]),
      also: ['addon-no-autoscaler'],
    },
  },
})

invariant('var-flannel-interface', {
  title: 'flannel_interface is set, and carries the address of the host',
  on: allNodes,
  severity: 'blocker',
  because:
    'Left to itself flannel takes the NIC of the default route: with NAT the same 10.0.2.15 on every node, and no pod reaches another.',
  source: [seed('Flannel'), issue(2114)],
  fix: `${remedy.inventory} Then cluster.yml --tags network.`,
  unless: ({ want }) =>
    want.kube_network_plugin === 'flannel' ? undefined : `kube_network_plugin is ${want.kube_network_plugin}`,
  judge: ({ cluster, node, want, check }) => {
    check.that('flannel_interface', want.flannel_interface !== undefined, want.flannel_interface, 'an interface')
    const nic = node.interfaces.find(({ ifname }) => ifname === want.flannel_interface)
    check.includes(`addresses of ${want.flannel_interface ?? 'it'}`, nic?.addr_info.map(({ local }) => local) ?? [], [
      cluster.mainIp(node.name),
    ])
  },
  refutedBy: {
    'the interface has another name': edit =>
      edit.json('ip-addr', links => {
        for (const link of links) if (link.ifname.startsWith('e')) link.ifname = 'nat0'
      }),
  },
})

invariant('var-metrics-overrides', {
  title: 'metrics-server is deployed exactly where the inventory asks for it',
  on: wholeCluster,
  severity: 'normal',
  because: 'Without it kubectl top and autoscaling have no figures; unasked for it takes room.',
  source: [seed('addons.yml')],
  fix: remedy.addons,
  judge: ({ cluster, want, check }) => {
    const found = cluster.api.deployments.some(({ metadata }) => metadata.name === 'metrics-server')
    check.equal('a Deployment metrics-server', found, want.metrics_server_enabled)
  },
  refutedBy: {
    'the Deployment is gone': edit =>
      edit.api('deployments', items => items.filter(item => item.metadata.name !== 'metrics-server')),
  },
})

invariant('var-no-duplicate-keys', {
  title: 'Every variable stands once in its file',
  on: controller,
  severity: 'minor',
  because: 'The last one wins: appending with `echo >>` a second time hides the setting that everybody reads first.',
  source: [seed('echo … >>')],
  fix: 'Remove the earlier lines.',
  judge: ({ cluster, check }) => {
    const files = [...cluster.inventory.varsFiles, ...cluster.inventory.extraVars]
    check.atLeast('files read', files.length, 1)
    check.none(
      'keys that stand twice',
      files.flatMap(({ file, duplicates }) => duplicates.map(({ key, line }) => `${key} (${file}:${line})`)),
    )
  },
  refutedBy: {
    'a line appended twice': edit =>
      edit.text(
        'controller/inventory/group_vars/k8s_cluster/k8s-cluster.yml',
        text => `${text}enable_dns_autoscaler: false\n`,
      ),
  },
})

invariant('var-kube-version-supported', {
  title: 'The Kubernetes version is one that the release deploys',
  on: controller,
  severity: 'blocker',
  because: 'Without a checksum the download fails; below the minimum the templates no longer fit.',
  source: [validation, seed('cluster.yml -e kube_version')],
  fix: 'Choose a kube_version that the release has checksums for, or add its checksums.',
  correction:
    "A version may also be supported by checksums that the inventory brings (kubelet_checksums): the resolved variable counts, not the release's list alone.",
  judge: ({ cluster, want, check }) => {
    const version = kubernetesVersion(want)
    const numbers = (text: string) => text.replace(/^v/, '').split('.').map(Number)
    const atMost = (a: string, b: string) =>
      numbers(a).reduce((order, part, index) => order || part - (numbers(b)[index] ?? 0), 0) <= 0
    check.that(
      'kube_version',
      atMost(want.kube_version_min_required, version),
      version,
      `at least ${want.kube_version_min_required}`,
    )
    const own = Object.values((want.kubelet_checksums ?? {}) as Record<string, Record<string, string>>).flatMap(
      versions => Object.keys(versions),
    )
    const newest = cluster.release.newestKubernetes[want.kube_major_version]
    const listed = newest !== undefined && atMost(version, newest)
    check.that(
      'kube_version',
      own.includes(version) || listed,
      version,
      `among the inventory's kubelet_checksums, or at most ${newest ?? 'a version of the release'}`,
    )
  },
  refutedBy: {
    'older than the minimum': edit => edit.vars({ kube_version: '1.20.0' }),
    'no checksum for it': edit => edit.vars({ kubelet_checksums: undefined }),
  },
})

invariant('var-subnets-disjoint', {
  title: 'Pods, services and nodes have networks of their own',
  on: controller,
  severity: 'blocker',
  because: 'Where two overlap, traffic to one ends in the other.',
  source: [validation],
  fix: remedy.inventory,
  judge: ({ cluster, want, check }) => {
    check.that(
      'pods and services',
      !networksOverlap(want.kube_pods_subnet, want.kube_service_addresses),
      `${want.kube_pods_subnet} and ${want.kube_service_addresses}`,
      'disjoint',
    )
    const inside = cluster.inventory
      .members('k8s_cluster')
      .map(host => cluster.mainIp(host))
      .filter(address => inNetwork(address, want.kube_pods_subnet) || inNetwork(address, want.kube_service_addresses))
    check.none('nodes within the network of pods or services', inside)
  },
  refutedBy: {
    "services within the pods' network": edit => edit.vars({ kube_service_addresses: '10.233.64.0/20' }),
    "nodes within the pods' network": edit => edit.vars({ kube_pods_subnet: '192.168.0.0/16' }),
  },
})

invariant('var-podcidr-capacity', {
  title: 'There is a pod network for every node, and an address for every pod',
  on: controller,
  severity: 'critical',
  because: 'A node without a podCIDR never becomes Ready; a full one leaves pods without an address.',
  source: [validation],
  fix: remedy.inventory,
  judge: ({ cluster, want, check }) => {
    const networks = 2 ** (want.kube_network_node_prefix - prefixLength(want.kube_pods_subnet))
    check.atLeast('pod networks', networks, cluster.inventory.members('k8s_cluster').length)
    check.atMost('kubelet_max_pods', want.kubelet_max_pods, 2 ** (32 - want.kube_network_node_prefix) - 2)
  },
  refutedBy: {
    'room for two nodes only': edit => edit.vars({ kube_network_node_prefix: 19 }),
    'more pods than addresses': edit => edit.vars({ kubelet_max_pods: 500 }),
  },
})

invariant('var-static-pod-path', {
  title: 'Workers have a folder for static pods',
  on: workers,
  severity: 'blocker',
  because:
    'hardening.md advises an empty kubelet_static_pod_path for workers: that removes nginx-proxy, and the worker loses the API.',
  source: [kubespray('docs/operations/hardening.md'), issue(12433, 12970)],
  fix: remedy.kubelet,
  dependsOn: ['kl-config-static-path'],
  judge: ({ node, want, check }) => {
    check.that('kubelet_static_pod_path', want.kubelet_static_pod_path !== '', want.kubelet_static_pod_path, 'a folder')
    check.that(
      'staticPodPath',
      Boolean(node.kubeletConfig.get('staticPodPath')),
      node.kubeletConfig.get('staticPodPath'),
      'a folder',
    )
  },
  refutedBy: {
    'the advice of hardening.md': edit => edit.vars({ kubelet_static_pod_path: '' }),
  },
})

invariant('var-anonymous-auth', {
  title: 'Anonymous requests are let in where the health checks need them',
  on: controller,
  severity: 'critical',
  because:
    'Probes of the API server and the /version checks come without credentials; false makes the deployment fail.',
  source: [defaults, issue(6242)],
  fix: remedy.inventory,
  judge: ({ want, check }) => check.equal('kube_api_anonymous_auth', want.kube_api_anonymous_auth, true),
  refutedBy: {
    'anonymous requests refused': edit => edit.vars({ kube_api_anonymous_auth: false }),
  },
})

invariant('var-etcd-host-mode', {
  title: 'etcd is deployed as a service of the host',
  on: controller,
  severity: 'normal',
  because: 'The documented checks, backups and recovery are those of a systemd service.',
  source: [seed('host vars'), defaults],
  fix: remedy.inventory,
  judge: ({ want, check }) => check.equal('etcd_deployment_type', want.etcd_deployment_type, 'host'),
  refutedBy: {
    'etcd by kubeadm': edit => edit.vars({ etcd_deployment_type: 'kubeadm' }),
  },
})

invariant('var-ca-not-external', {
  title: 'Certificates are renewed by whoever holds the CA',
  on: controller,
  severity: 'normal',
  because: 'With an external CA the renewal timer has no key to sign with.',
  source: [validation],
  fix: remedy.inventory,
  judge: ({ want, check }) =>
    check.that(
      'kube_external_ca_mode with auto_renew_certificates',
      !(want.kube_external_ca_mode && want.auto_renew_certificates),
      'both true',
      'not both',
    ),
  refutedBy: {
    'both at once': edit => edit.vars({ kube_external_ca_mode: true, auto_renew_certificates: true }),
  },
})

invariant('var-docker-inert', {
  title: "Docker's settings have no effect: containerd is the runtime, and no dockerd is installed",
  on: allNodes,
  severity: 'minor',
  because:
    'A second engine would compete for iptables and disk; its settings in group_vars mislead whoever reads them.',
  source: [seed('host vars')],
  fix: 'Remove Docker from the host.',
  judge: ({ node, want, check }) => {
    check.equal('container_manager', want.container_manager, 'containerd')
    check.none(
      `dockerd in ${want.bin_dir}`,
      node.binaries.names('').filter(name => name === 'dockerd'),
    )
    check.none(
      'dockerd among the processes',
      node.processes.filter(({ name }) => name === 'dockerd').map(({ pid }) => pid),
    )
  },
  refutedBy: {
    'dockerd is installed': edit =>
      edit.output('bin-listing', text => `${text}-rwxr-xr-x 1 root root 1 Nov 22 21:59 dockerd\n`),
  },
})

invariant('var-ntp-servers', {
  title: 'The time servers of the inventory are used, or said to be unused',
  on: controller,
  severity: 'minor',
  because:
    'ntp_servers has no effect without ntp_enabled and ntp_manage_config: the list looks as if it kept the clocks right.',
  source: [seed('host vars')],
  fix: 'Set ntp_enabled and ntp_manage_config to true, or leave ntp_servers at its default.',
  judge: ({ want, check }) => {
    const managed = want.ntp_enabled && want.ntp_manage_config
    const sample = want.ntp_servers.every(server => /\.pool\.ntp\.org\b/.test(server))
    check.that(
      'ntp_servers while Kubespray does not manage time',
      managed || sample,
      want.ntp_servers,
      "the sample's list, or ntp_enabled and ntp_manage_config true",
    )
  },
  refutedBy: {
    'own servers that nothing uses': edit => edit.vars({ ntp_servers: ['ntp.example.org'] }),
  },
})

invariant('var-no-proxy-workers', {
  title: 'Adding a worker restarts no container runtime because of the proxy',
  on: controller,
  severity: 'minor',
  because:
    'With an HTTP proxy the no_proxy list names every host: each scale-out rewrites it and restarts containerd everywhere.',
  source: [seed('host vars'), issue(4017, 8503)],
  fix: 'Set no_proxy_exclude_workers: true.',
  judge: ({ want, check }) =>
    check.that(
      'no_proxy_exclude_workers with http_proxy',
      !want.http_proxy || want.no_proxy_exclude_workers,
      want.no_proxy_exclude_workers,
      true,
    ),
  refutedBy: {
    'a proxy without the exclusion': edit => edit.vars({ http_proxy: 'http://proxy.example.org:3128' }),
  },
})
