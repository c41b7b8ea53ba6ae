import { kubernetesVersion } from '../../helpers/expectations/expectations.ts'
import { controlPlanes, plane, wholeCluster } from '../../helpers/invariant/invariant.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'
import { flag, manifest, uniform } from './static-pod-edit.ts'

const invariant = plane('control-plane')
const template = kubespray('roles/kubernetes/control-plane/templates/kubeadm-config.v1beta4.yaml.j2')

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
    'another annotation': edit =>
      edit.file(manifest('kube-apiserver'), text =>
        text.replace(/(advertise-address\.endpoint: ).*/, '$1192.0.2.1:6443'),
      ),
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
      check.equal(`/version by ${id}`, node.apiVersion(id).gitVersion, `v${kubernetesVersion(want)}`)
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
          `v${kubernetesVersion(want)}`,
        )
      }
    }
  },
  refutedBy: {
    'one is older': edit =>
      edit.json(firstVersion(edit), version => {
        version.gitVersion = 'v1.20.0'
      }),
  },
})

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

/** The id of the first recorded `/version` by address. */
function firstVersion(edit: Edit): string {
  return edit.recording.sources(`nodes/${edit.node}/commands/curl-version-`)[0]?.split('/').at(-1) ?? ''
}
