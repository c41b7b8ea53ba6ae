import { controlPlanes, plane, wholeCluster, workers } from '../../helpers/invariant/invariant.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('control-plane')
const template = kubespray('roles/kubernetes/control-plane/templates/kubeadm-config.v1beta4.yaml.j2')
const components = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const
const manifest = (component: string) => `/etc/kubernetes/manifests/${component}.yaml`

/** An edit that gives a flag of a component another value. */
const flag = (component: string, name: string, value: string) => (edit: Edit) =>
  edit.file(manifest(component), text => text.replace(new RegExp(`--${name}=[^'\\n]*`), `--${name}=${value}`))

invariant('cp-static-manifests', {
  title: 'The control plane runs its three components from static pod manifests, and nothing else',
  on: controlPlanes,
  severity: 'blocker',
  because: 'A left-over nginx-proxy takes port 6443 from the API server; an etcd.yaml is a second etcd.',
  source: [seed('pods'), kubespray('roles/kubernetes/node/tasks/main.yml'), issue(12257)],
  fix: remedy.leftover,
  judge: ({ node, want, check }) =>
    check.sameSet(
      `in ${want.kube_manifest_dir}`,
      node.etcKubernetes.names(want.kube_manifest_dir),
      components.map(name => `${name}.yaml`),
    ),
  refutedBy: {
    'a left-over balancer': {
      edit: edit =>
        edit.output(
          'etc-kubernetes-listing',
          text => `${text}-rw-r----- root root 897 1795388391.0 /etc/kubernetes/manifests/nginx-proxy.yml -> \n`,
        ),
      also: ['lb-not-on-cp'],
    },
    'the scheduler is missing': edit =>
      edit.output('etc-kubernetes-listing', text => text.replace(/^.*\/kube-scheduler\.yaml.*\n/m, '')),
  },
})

invariant('cp-pods-ready', {
  title: 'The three components run and are ready on every control plane',
  on: controlPlanes,
  severity: 'blocker',
  because: 'With one of them down on two nodes the next failure stops the cluster.',
  source: [seed('pods')],
  fix: remedy.controlPlane,
  judge: ({ cluster, node, check }) => {
    const name = cluster.nodeName(node.name)
    for (const component of components) {
      const pod = cluster.api.pods.find(
        ({ metadata }) => metadata.namespace === 'kube-system' && metadata.name === `${component}-${name}`,
      )
      check.equal(`${component}-${name} runs on`, pod?.spec.nodeName, name)
      check.equal(`phase of ${component}-${name}`, pod?.status.phase, 'Running')
      check.that(
        `containers of ${component}-${name}`,
        pod?.status.containerStatuses.every(({ ready }) => ready) === true,
        'not ready',
        'ready',
      )
    }
  },
  refutedBy: {
    'the API server is not ready': {
      edit: edit =>
        edit.object('pods', `kube-apiserver-${edit.node}`, pod => {
          pod.status.containerStatuses[0].ready = false
        }),
      also: ['addon-pods-expected'],
    },
    'the scheduler is pending': {
      edit: edit =>
        edit.object('pods', `kube-scheduler-${edit.node}`, pod => {
          pod.status.phase = 'Pending'
        }),
      also: ['addon-pods-expected'],
    },
    'the controller manager has no pod': {
      edit: edit =>
        edit.api('pods', items => items.filter(item => item.metadata.name !== `kube-controller-manager-${edit.node}`)),
      also: ['addon-pods-expected'],
    },
  },
})

invariant('cp-pod-restarts', {
  title: 'The components have not restarted more often than an installation makes them',
  on: controlPlanes,
  severity: 'normal',
  because: 'A component that keeps restarting loses its leadership each time, and its clients their watches.',
  source: [seed('pods: restarts 1 to 2 right after installation'), issue(9696)],
  fix: remedy.investigate,
  correction:
    'Growth needs two recordings (npm run diff, when recording live exists); one recording allows five restarts a component.',
  judge: ({ cluster, node, check }) => {
    const pods = cluster.api.pods.filter(
      ({ metadata, spec }) =>
        spec.nodeName === cluster.nodeName(node.name) && components.some(name => metadata.name.startsWith(`${name}-`)),
    )
    for (const { metadata, status } of pods)
      check.atMost(
        `restarts of ${metadata.name}`,
        Math.max(...status.containerStatuses.map(({ restartCount }) => restartCount)),
        5,
      )
  },
  refutedBy: {
    'forty restarts': edit =>
      edit.object('pods', `kube-apiserver-${edit.node}`, pod => {
        pod.status.containerStatuses[0].restartCount = 40
      }),
  },
})

invariant('cp-apiserver-advertise', {
  title: "The API server advertises the host's address",
  on: controlPlanes,
  severity: 'blocker',
  because: 'It is what the Service kubernetes sends pods to: a wrong one is a third of the calls lost.',
  source: [seed('binding'), template],
  fix: remedy.controlPlane,
  judge: ({ cluster, node, want, check }) => {
    const { flags, metadata } = node.staticPod('kube-apiserver.yaml')
    const address = cluster.mainIp(node.name)
    check.equal('--advertise-address', flags.get('advertise-address'), address)
    check.equal(
      'annotation advertise-address.endpoint',
      metadata.annotations['kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint'],
      `${address}:${want.kube_apiserver_port}`,
    )
    const running = node.processes.find(({ name }) => name === 'kube-apiserver')
    check.includes('arguments of the running process', running?.args ?? [], [`--advertise-address=${address}`])
  },
  refutedBy: {
    'another address': { edit: flag('kube-apiserver', 'advertise-address', '192.0.2.1'), also: ['cp-flags-uniform'] },
    'the process runs with another': edit =>
      edit.output('process-args', text => text.replace(/--advertise-address=.*/, '--advertise-address=192.0.2.1')),
    'another annotation': {
      edit: edit =>
        edit.file(manifest('kube-apiserver'), text =>
          text.replace(/(advertise-address\.endpoint: ).*/, '$1192.0.2.1:6443'),
        ),
      also: [],
    },
  },
})

invariant('cp-apiserver-bind', {
  title: 'The API server binds the address and port of the inventory',
  on: controlPlanes,
  severity: 'blocker',
  because: "The node's own components call 127.0.0.1, the balancers its address: it must listen on both.",
  source: [seed('binding'), template],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) => {
    const { flags } = node.staticPod('kube-apiserver.yaml')
    check.equal('--bind-address', flags.get('bind-address'), want.kube_apiserver_bind_address)
    check.equal('--secure-port', flags.get('secure-port'), String(want.kube_apiserver_port))
    const running = node.processes.find(({ name }) => name === 'kube-apiserver')
    check.includes('arguments of the running process', running?.args ?? [], [
      `--bind-address=${want.kube_apiserver_bind_address}`,
      `--secure-port=${want.kube_apiserver_port}`,
    ])
  },
  refutedBy: {
    'one address only': { edit: flag('kube-apiserver', 'bind-address', '192.0.2.1'), also: ['cp-flags-uniform'] },
    'another port': { edit: flag('kube-apiserver', 'secure-port', '8443'), also: ['cp-flags-uniform'] },
    'the process runs with another port': edit =>
      edit.output('process-args', text => text.replace(/--secure-port=.*/, '--secure-port=8443')),
  },
})

invariant('cp-apiserver-socket', {
  title: 'kube-apiserver, and nothing else, listens on every address at its port',
  on: controlPlanes,
  severity: 'blocker',
  because: 'A left-over balancer on the port keeps the API server from starting: "address already in use".',
  source: [seed('ss -tnlp'), issue(12257)],
  fix: remedy.leftover,
  judge: ({ node, want, check }) => {
    const sockets = node.listening.filter(({ localPort }) => localPort === want.kube_apiserver_port)
    const everywhere = want.kube_apiserver_bind_address === '0.0.0.0' ? ['0.0.0.0'] : ['*', '::']
    check.that(
      'addresses',
      sockets.length === 1 && everywhere.includes(sockets[0]?.localAddress ?? ''),
      sockets.map(({ localAddress }) => localAddress),
      everywhere.join(' or '),
    )
    check.sameSet(
      'processes',
      [...new Set(sockets.flatMap(({ processes }) => processes.map(({ name }) => name)))],
      ['kube-apiserver'],
    )
  },
  refutedBy: {
    'nginx has the port': {
      edit: edit => edit.output('ss-listen', text => text.replace(/"kube-apiserver"/, '"nginx"')),
      also: ['lb-not-on-cp'],
    },
    'one address only': edit => edit.output('ss-listen', text => text.replace(/\*:6443/, '127.0.0.1:6443')),
    'nothing listens': edit => edit.output('ss-listen', text => text.replace(/^.*:6443 .*\n/m, '')),
  },
})

invariant('cp-apiserver-all-addresses', {
  title: "The API answers on loopback and on the host's address",
  on: controlPlanes,
  severity: 'critical',
  because: 'The kubeconfigs call loopback, everybody else the address.',
  source: [seed('various addresses')],
  fix: remedy.controlPlane,
  correction: 'Other addresses of the host (a NAT interface) are not among the evidence.',
  judge: ({ want, node, check }) => {
    for (const id of ['curl-local-version', 'curl-self-version', 'curl-localhost-verified']) {
      check.equal(`/version by ${id}`, node.apiVersion(id).gitVersion, `v${want.kube_version.replace(/^v/, '')}`)
    }
  },
  refutedBy: {
    'another answers on loopback': edit =>
      edit.json('curl-local-version', version => {
        version.gitVersion = 'v1.20.0'
      }),
    'another answers on the address': edit =>
      edit.json('curl-self-version', version => {
        version.gitVersion = 'v1.20.0'
      }),
  },
})

invariant('cp-apiserver-healthz', {
  title: 'The API server is live and ready, etcd included',
  on: controlPlanes,
  severity: 'blocker',
  because: 'The balancer knows no health: it sends a third of the calls to one that is not.',
  source: [kubespray('roles/kubernetes/control-plane/tasks/check-api.yml')],
  fix: remedy.controlPlane,
  judge: ({ node, check }) => {
    for (const id of ['curl-livez', 'curl-readyz']) {
      const { checks, passed } = node.verboseHealth(id)
      check.none(
        `failed checks of ${id.replace('curl-', '/')}`,
        [...checks].filter(([, ok]) => !ok).map(([name]) => name),
      )
      check.equal(`${id.replace('curl-', '/')} passed`, passed, true)
      check.equal(`etcd among the checks of ${id.replace('curl-', '/')}`, checks.get('etcd'), true)
    }
  },
  refutedBy: {
    'etcd fails': {
      edit: edit =>
        edit.output('curl-readyz', text =>
          text.replace('[+]etcd ok', '[-]etcd failed: reason withheld').replace('check passed', 'check failed'),
        ),
      also: ['etcd-cp-client-cert'],
    },
    'it is not live': edit =>
      edit.output('curl-livez', text =>
        text.replace('[+]ping ok', '[-]ping failed: reason withheld').replace('check passed', 'check failed'),
      ),
  },
})

invariant('cp-version-uniform', {
  title: 'Every API server is of the version of the inventory, as every node sees it',
  on: wholeCluster,
  severity: 'blocker',
  because: 'Behind a balancer clients meet both versions: what one stores, the other may not read.',
  source: [seed('API server access')],
  fix: remedy.controlPlane,
  judge: ({ cluster, want, check }) => {
    for (const node of cluster.nodes) {
      for (const host of cluster.expectations.controlPlanes) {
        check.equal(
          `${host} as ${node.name} sees it`,
          node.apiVersion(`curl-version-${cluster.mainAccessIp(host)}`).gitVersion,
          `v${want.kube_version.replace(/^v/, '')}`,
        )
      }
    }
  },
  refutedBy: {
    'one is older': {
      edit: edit =>
        edit.json(firstVersion(edit), version => {
          version.gitVersion = 'v1.20.0'
        }),
      also: [],
    },
  },
})

/** The id of the first recorded `/version` by address. */
function firstVersion(edit: Edit): string {
  return edit.recording.sources(`nodes/${edit.node}/commands/curl-version-`)[0]?.split('/').at(-1) ?? ''
}

invariant('cp-build-uniform', {
  title: 'All API servers are the same build',
  on: wholeCluster,
  severity: 'normal',
  because: 'One version number may hide a rebuilt binary, or another architecture.',
  source: [seed('API server access: goVersion')],
  fix: remedy.controlPlane,
  judge: ({ cluster, check }) => {
    const builds = cluster.expectations.controlPlanes.map(host => {
      const { goVersion, gitCommit, platform } = cluster.firstControlPlane.apiVersion(
        `curl-version-${cluster.mainAccessIp(host)}`,
      )
      return `${goVersion} ${gitCommit} ${platform}`
    })
    check.equal('different builds', [...new Set(builds)], builds.slice(0, 1))
  },
  refutedBy: {
    'built with another Go': edit =>
      edit.json(firstVersion(edit), version => {
        version.goVersion = 'go1.1'
      }),
  },
})

invariant('cp-etcd-servers', {
  title: 'The API server knows every etcd member, and no other',
  on: controlPlanes,
  severity: 'blocker',
  because:
    'cluster.yml does not rewrite the flag: after a member was replaced the API server still waits for the old one.',
  source: [issue(4078, 7642), template],
  fix: remedy.etcdServers,
  judge: ({ cluster, node, check }) => {
    check.sameSet(
      '--etcd-servers',
      (node.staticPod('kube-apiserver.yaml').flags.get('etcd-servers') ?? '').split(','),
      cluster.etcdAccessAddresses,
    )
  },
  refutedBy: {
    'a member is missing': {
      edit: edit => edit.file(manifest('kube-apiserver'), text => text.replace(/(--etcd-servers=[^,]+),[^,\n]+/, '$1')),
      also: ['cp-flags-uniform'],
    },
    'a removed member': {
      edit: edit =>
        edit.file(manifest('kube-apiserver'), text => text.replace(/(--etcd-servers=)/, '$1https://192.0.2.9:2379,')),
      also: ['cp-flags-uniform'],
    },
  },
})

/** Flags of one component that are compared with a value each. */
const uniform = ['cp-flags-uniform'] as const

invariant('cp-apiserver-count', {
  title: 'API servers reconcile their endpoints by lease, and know how many they are',
  on: controlPlanes,
  severity: 'minor',
  because: 'Without leases a dead API server stays an endpoint of the Service kubernetes.',
  source: [template, issue(13262)],
  fix: remedy.controlPlane,
  judge: ({ cluster, node, check }) => {
    const { flags } = node.staticPod('kube-apiserver.yaml')
    check.equal('--endpoint-reconciler-type', flags.get('endpoint-reconciler-type'), 'lease')
    check.equal(
      '--apiserver-count',
      flags.get('apiserver-count'),
      cluster.release.hasApiserverCount ? String(cluster.expectations.controlPlanes.length) : undefined,
    )
  },
  refutedBy: {
    'another reconciler': { edit: flag('kube-apiserver', 'endpoint-reconciler-type', 'none'), also: uniform },
    'another count': { edit: flag('kube-apiserver', 'apiserver-count', '1'), also: uniform },
  },
})

invariant('cp-authz', {
  title: 'The API server authorizes by Node and RBAC, and restricts what kubelets may change',
  on: controlPlanes,
  severity: 'critical',
  because:
    "With AlwaysAllow every token is an administrator's; without NodeRestriction a kubelet may relabel its neighbours.",
  source: [template],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) => {
    const { flags } = node.staticPod('kube-apiserver.yaml')
    check.equal('--authorization-mode', flags.get('authorization-mode'), want.authorization_modes.join(','))
    check.equal('--anonymous-auth', flags.get('anonymous-auth')?.toLowerCase(), String(want.kube_api_anonymous_auth))
    check.equal('--allow-privileged', flags.get('allow-privileged'), 'true')
    check.includes('--enable-admission-plugins', (flags.get('enable-admission-plugins') ?? '').split(','), [
      'NodeRestriction',
    ])
  },
  refutedBy: {
    'everything is allowed': { edit: flag('kube-apiserver', 'authorization-mode', 'AlwaysAllow'), also: uniform },
    'no NodeRestriction': {
      edit: flag('kube-apiserver', 'enable-admission-plugins', 'AlwaysPullImages'),
      also: uniform,
    },
    'anonymous requests refused': { edit: flag('kube-apiserver', 'anonymous-auth', 'False'), also: uniform },
    'no privileged pods': { edit: flag('kube-apiserver', 'allow-privileged', 'false'), also: uniform },
  },
})

invariant('cp-webhook-token-auth-off', {
  title: 'The API server asks a webhook about tokens exactly where the inventory says so',
  on: controlPlanes,
  severity: 'normal',
  because: 'A webhook that nobody knows of decides who is let in.',
  source: [seed('host vars: kube_webhook_token_auth'), template],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) =>
    check.equal(
      '--authentication-token-webhook-config-file is set',
      node.staticPod('kube-apiserver.yaml').flags.has('authentication-token-webhook-config-file'),
      want.kube_webhook_token_auth,
    ),
  refutedBy: {
    'a webhook': {
      edit: edit =>
        edit.file(manifest('kube-apiserver'), text =>
          text.replace(/^( *- )--allow-privileged/m, '$1--authentication-token-webhook-config-file=/etc/x\n$&'),
        ),
      also: uniform,
    },
  },
})

invariant('cp-service-net', {
  title: "The API server hands out Service addresses and NodePorts of the inventory's ranges",
  on: controlPlanes,
  severity: 'critical',
  because: 'API servers with other ranges hand out addresses that the nodes do not route.',
  source: [template],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) => {
    const { flags } = node.staticPod('kube-apiserver.yaml')
    check.equal('--service-cluster-ip-range', flags.get('service-cluster-ip-range'), want.kube_service_subnets)
    check.equal('--service-node-port-range', flags.get('service-node-port-range'), want.kube_apiserver_node_port_range)
  },
  refutedBy: {
    'another range': { edit: flag('kube-apiserver', 'service-cluster-ip-range', '10.96.0.0/12'), also: uniform },
    'other NodePorts': { edit: flag('kube-apiserver', 'service-node-port-range', '30000-30100'), also: uniform },
  },
})

invariant('cp-apiserver-timeouts', {
  title: 'Pods leave a lost node, and events age, when the inventory says',
  on: controlPlanes,
  severity: 'normal',
  because: 'They decide how long a failure of a node is felt.',
  source: [template, kubespray('roles/kubernetes/control-plane/defaults/main/main.yml')],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) => {
    const { flags } = node.staticPod('kube-apiserver.yaml')
    check.equal(
      '--default-not-ready-toleration-seconds',
      flags.get('default-not-ready-toleration-seconds'),
      String(want.kube_apiserver_pod_eviction_not_ready_timeout_seconds),
    )
    check.equal(
      '--default-unreachable-toleration-seconds',
      flags.get('default-unreachable-toleration-seconds'),
      String(want.kube_apiserver_pod_eviction_unreachable_timeout_seconds),
    )
    check.equal('--request-timeout', flags.get('request-timeout'), want.kube_apiserver_request_timeout)
    check.equal('--event-ttl', flags.get('event-ttl'), want.event_ttl_duration)
    check.equal(
      '--etcd-compaction-interval',
      flags.get('etcd-compaction-interval'),
      want.kube_apiserver_etcd_compaction_interval,
    )
  },
  refutedBy: {
    'not-ready': { edit: flag('kube-apiserver', 'default-not-ready-toleration-seconds', '3'), also: uniform },
    unreachable: { edit: flag('kube-apiserver', 'default-unreachable-toleration-seconds', '3'), also: uniform },
    requests: { edit: flag('kube-apiserver', 'request-timeout', '9s'), also: uniform },
    events: { edit: flag('kube-apiserver', 'event-ttl', '9s'), also: uniform },
    compaction: { edit: flag('kube-apiserver', 'etcd-compaction-interval', '9s'), also: uniform },
  },
})

invariant('cp-kubelet-addr-types', {
  title: 'The API server reaches kubelets by the kinds of address that the inventory gives, in that order',
  on: controlPlanes,
  severity: 'critical',
  because: 'kubectl logs and exec fail with "no such host" where a name comes first that nobody resolves.',
  source: [kubespray('roles/kubernetes/control-plane/defaults/main/main.yml'), issue(2147)],
  fix: remedy.controlPlane,
  correction:
    "`kubectl logs` of a pod on each node is not among the evidence; it is there for workers (the balancer's log).",
  judge: ({ node, want, check }) =>
    check.equal(
      '--kubelet-preferred-address-types',
      node.staticPod('kube-apiserver.yaml').flags.get('kubelet-preferred-address-types'),
      want.kubelet_preferred_address_types,
    ),
  refutedBy: {
    'host names first': {
      edit: flag('kube-apiserver', 'kubelet-preferred-address-types', 'Hostname,InternalIP'),
      also: uniform,
    },
  },
})

invariant('cp-kcm-flags', {
  title: 'The controller manager allots pod networks and watches nodes as the inventory says',
  on: controlPlanes,
  severity: 'critical',
  because: 'It gives every node its podCIDR, and decides after how long a silent node is lost.',
  source: [template, seed('podCIDR: not the network plugin allots it')],
  fix: remedy.controlPlane,
  judge: ({ cluster, node, want, check }) => {
    const { flags } = node.staticPod('kube-controller-manager.yaml')
    const expected: Record<string, string> = {
      'allocate-node-cidrs': 'true',
      'cluster-cidr': want.kube_pods_subnet,
      'service-cluster-ip-range': want.kube_service_subnets,
      [cluster.release.nodeMaskFlag]: String(want.kube_network_node_prefix),
      'node-monitor-grace-period': want.kube_controller_node_monitor_grace_period,
      'node-monitor-period': want.kube_controller_node_monitor_period,
      'leader-elect-lease-duration': want.kube_controller_manager_leader_elect_lease_duration,
      'leader-elect-renew-deadline': want.kube_controller_manager_leader_elect_renew_deadline,
      'bind-address': want.kube_controller_manager_bind_address,
      'leader-elect': 'true',
    }
    for (const [name, value] of Object.entries(expected)) check.equal(`--${name}`, flags.get(name), value)
  },
  refutedBy: {
    'no pod networks': { edit: flag('kube-controller-manager', 'allocate-node-cidrs', 'false'), also: uniform },
    'another pod network': { edit: flag('kube-controller-manager', 'cluster-cidr', '10.244.0.0/16'), also: uniform },
    'another node prefix': { edit: flag('kube-controller-manager', 'node-cidr-mask-size-ipv4', '26'), also: uniform },
    'another grace period': { edit: flag('kube-controller-manager', 'node-monitor-grace-period', '5m'), also: uniform },
    'another lease': { edit: flag('kube-controller-manager', 'leader-elect-lease-duration', '60s'), also: uniform },
    'no leader election': { edit: flag('kube-controller-manager', 'leader-elect', 'false'), also: uniform },
  },
})

invariant('cp-sched-config', {
  title: "The scheduler is configured by the release's file",
  on: controlPlanes,
  severity: 'normal',
  because: "Without --config its leader election has other times than the other components'.",
  source: [kubespray('roles/kubernetes/control-plane/templates/kubescheduler-config.yaml.j2')],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) => {
    check.equal(
      '--config',
      node.staticPod('kube-scheduler.yaml').flags.get('config'),
      `${want.kube_config_dir}/kubescheduler-config.yaml`,
    )
    check.equal(
      'leaseDuration',
      node.schedulerConfig.get('leaderElection.leaseDuration'),
      want.kube_scheduler_leader_elect_lease_duration,
    )
    check.equal(
      'renewDeadline',
      node.schedulerConfig.get('leaderElection.renewDeadline'),
      want.kube_scheduler_leader_elect_renew_deadline,
    )
    check.equal(
      'kubeconfig',
      node.schedulerConfig.get('clientConnection.kubeconfig'),
      `${want.kube_config_dir}/scheduler.conf`,
    )
  },
  refutedBy: {
    'another file': { edit: flag('kube-scheduler', 'config', '/tmp/x.yaml'), also: uniform },
    'another lease': edit =>
      edit.file('/etc/kubernetes/kubescheduler-config.yaml', text =>
        text.replace('leaseDuration: 15s', 'leaseDuration: 60s'),
      ),
    'another deadline': edit =>
      edit.file('/etc/kubernetes/kubescheduler-config.yaml', text =>
        text.replace('renewDeadline: 10s', 'renewDeadline: 50s'),
      ),
  },
})

invariant('cp-kcm-sched-healthz', {
  title: 'Controller manager and scheduler are healthy',
  on: controlPlanes,
  severity: 'critical',
  because: 'A hung leader keeps its lease: nothing is scheduled, and nobody takes over.',
  source: [kubespray('roles/kubernetes/control-plane/handlers/main.yml')],
  fix: remedy.controlPlane,
  judge: ({ node, check }) => {
    check.equal('https://localhost:10257/healthz (controller manager)', node.httpCode('curl-kcm-healthz'), 200)
    check.equal('https://localhost:10259/healthz (scheduler)', node.httpCode('curl-scheduler-healthz'), 200)
  },
  refutedBy: {
    'the controller manager fails': edit => edit.output('curl-kcm-healthz', () => '500'),
    'the scheduler does not answer': edit => edit.output('curl-scheduler-healthz', () => '000', 7),
  },
})

invariant('cp-profiling-off', {
  title: 'Profiling is on or off as the inventory says',
  on: controlPlanes,
  severity: 'minor',
  because: 'Profiles show what is in memory.',
  source: [template],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) => {
    for (const component of components)
      check.equal(
        `--profiling of ${component}`,
        node.staticPod(`${component}.yaml`).flags.get('profiling')?.toLowerCase(),
        String(want.kube_profiling),
      )
  },
  refutedBy: Object.fromEntries(
    components.map(component => [
      `${component} is profiled`,
      { edit: flag(component, 'profiling', 'True'), also: uniform },
    ]),
  ),
})

invariant('cp-flags-uniform', {
  title: "The components run with the same flags on every control plane, but for the host's own address",
  on: wholeCluster,
  severity: 'normal',
  because: 'One that differs was edited by hand or left out of a run: clients meet another behaviour every third call.',
  source: ['Comparison between control planes'],
  fix: remedy.controlPlane,
  judge: ({ cluster, check }) => {
    for (const component of components) {
      const views = cluster.controlPlanes.map(node => {
        const own = [cluster.mainIp(node.name), cluster.mainAccessIp(node.name)]
        const { flags } = node.staticPod(`${component}.yaml`)
        return [...flags]
          .filter(([name]) => name !== 'etcd-certfile' && name !== 'etcd-keyfile')
          .map(([name, value]) => `--${name}=${own.includes(value) ? 'OWN-ADDRESS' : value}`)
          .sort()
      })
      for (const [index, view] of views.slice(1).entries()) {
        check.sameSet(
          `flags of ${component} on ${cluster.expectations.controlPlanes[index + 1] ?? ''} and ${cluster.expectations.controlPlanes[0] ?? ''}`,
          view,
          views[0] ?? [],
        )
      }
    }
  },
  refutedBy: {
    'one more flag on one': edit =>
      edit.file(manifest('kube-scheduler'), text => text.replace(/^( *- )--profiling/m, '$1--v=9\n$&')),
  },
})

invariant('cp-local-flows', {
  title: 'The components of a control plane talk to their own API server only',
  on: controlPlanes,
  severity: 'critical',
  because: 'One that calls a neighbour loses the API when that neighbour is restarted.',
  source: [seed('all components of a control plane use 127.0.0.1:6443')],
  fix: remedy.controlPlane,
  unless: ({ cluster }) =>
    cluster.release.controlPlaneKubeconfigsLocal ? undefined : `since v2.31 they call the host's own address`,
  judge: ({ node, want, check }) => {
    const clients = ['kubelet', 'kube-proxy', 'kube-controller', 'kube-scheduler']
    const calls = node.connections.filter(
      ({ peerPort, processes }) =>
        peerPort === want.kube_apiserver_port && processes.some(({ name }) => clients.includes(name)),
    )
    check.atLeast('connections to an API server', calls.length, 1)
    check.none(
      'connections to another host',
      calls
        .filter(({ peerAddress }) => peerAddress !== '127.0.0.1' && peerAddress !== '::1')
        .map(({ peerAddress, processes }) => `${processes[0]?.name ?? ''} → ${peerAddress}`),
    )
  },
  refutedBy: {
    'the kubelet calls a neighbour': edit =>
      edit.output(
        'ss-established',
        text => `${text}0 0 192.0.2.1:40000 192.0.2.2:6443 users:(("kubelet",pid=9,fd=9))\n`,
      ),
  },
})

invariant('kc-not-on-worker', {
  title: "A worker holds no administrator's kubeconfig and no key of the cluster",
  on: workers,
  severity: 'critical',
  because: 'Whoever takes the worker then has the cluster.',
  source: [seed('copying the kubeconfig')],
  fix: remedy.leftover,
  judge: ({ node, want, check }) => {
    const forbidden = ['admin.conf', 'super-admin.conf', 'controller-manager.conf', 'scheduler.conf']
    const keys = ['ca.key', 'sa.key', 'front-proxy-ca.key', 'apiserver.key']
    check.none(
      `in ${want.kube_config_dir}`,
      node.etcKubernetes.names(want.kube_config_dir).filter(name => forbidden.includes(name)),
    )
    check.none(
      `in ${want.kube_cert_dir}`,
      node.etcKubernetes.names(want.kube_cert_dir).filter(name => keys.includes(name)),
    )
  },
  refutedBy: {
    'admin.conf is there': edit =>
      edit.output(
        'etc-kubernetes-listing',
        text => `${text}-rw------- root root 5661 1795388097.0 /etc/kubernetes/admin.conf -> \n`,
      ),
    "the CA's key is there": edit =>
      edit.output(
        'etc-kubernetes-listing',
        text => `${text}-rw------- root root 1679 1795388097.0 /etc/kubernetes/ssl/ca.key -> \n`,
      ),
  },
})
