import { kubernetesVersion } from '../../helpers/expectations/expectations.ts'
import { allNodes, plane, wholeCluster, workers, topology } from '../../helpers/invariant/invariant.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('nodes')
const set = (name: string, value: string) => (edit: Edit) =>
  edit.configMap('kube-proxy', 'config.conf', text =>
    text.replace(new RegExp(`^( *)${name}: .*$`, 'm'), `$1${name}: ${value}`),
  )
const credentials = (change: (text: string) => string) => (edit: Edit) =>
  edit.configMap('kube-proxy', 'kubeconfig.conf', change)

invariant('kp-cm-server', {
  title: 'kube-proxy calls the API on 127.0.0.1, on every node',
  on: wholeCluster,
  severity: 'blocker',
  because:
    "An upgrade writes the first control plane's address back: when that one is down no node learns of a new Service.",
  source: [
    seed('ConfigMap kube-proxy'),
    kubespray('roles/kubernetes/kubeadm/tasks/main.yml "Update server field in kube-proxy kubeconfig"'),
    issue(4689, 5520, 6731),
  ],
  fix: remedy.kubeProxy,
  dependsOn: topology,
  judge: ({ cluster, want, check }) =>
    check.equal(
      'server in kubeconfig.conf',
      cluster.api.kubeProxyKubeconfig.server,
      `https://127.0.0.1:${want.kube_apiserver_port}`,
    ),
  refutedBy: {
    'the first control plane': credentials(text => text.replace(/server: .*/, 'server: https://192.0.2.11:6443')),
  },
})

invariant('kp-cm-credentials', {
  title: 'kube-proxy shows the token of its service account, and nothing else',
  on: wholeCluster,
  severity: 'critical',
  because: 'A key in a ConfigMap is read by everybody who reads ConfigMaps.',
  source: [seed('ConfigMap kube-proxy')],
  fix: remedy.kubeProxy,
  judge: ({ cluster, check }) => {
    const config = cluster.api.kubeProxyKubeconfig
    const folder = '/var/run/secrets/kubernetes.io/serviceaccount'
    check.equal('certificate-authority', config.caFile, `${folder}/ca.crt`)
    check.equal('tokenFile', config.tokenFile, `${folder}/token`)
    check.equal('credentials within it', config.hasInlineCredentials, false)
    check.equal('clusters', config.clusterNames, ['default'])
    check.equal('contexts', config.contextNames, ['default'])
    check.equal('users', config.userNames, ['default'])
  },
  refutedBy: {
    'another CA': credentials(text => text.replace(/certificate-authority: .*/, 'certificate-authority: /tmp/ca.crt')),
    'another token': credentials(text => text.replace(/tokenFile: .*/, 'tokenFile: /tmp/token')),
    'a token within it': credentials(text => text.replace(/tokenFile: .*/, 'token: x')),
    'another cluster name': credentials(text =>
      text.replace(
        '  name: default\ncontexts',
        '  name: other\n- cluster:\n    server: https://127.0.0.1:6443\n  name: default\ncontexts',
      ),
    ),
  },
})

invariant('kp-pods', {
  title: 'kube-proxy runs on every node, in the version of the inventory',
  on: wholeCluster,
  severity: 'blocker',
  because: 'On a node without it no Service is reached.',
  source: [seed('pods')],
  fix: remedy.kubeProxy,
  judge: ({ cluster, want, check }) => {
    const set = cluster.api.daemonSets.find(({ metadata }) => metadata.name === 'kube-proxy')
    check.equal('desired pods', set?.status.desiredNumberScheduled, cluster.expectations.nodes.length)
    check.equal('ready pods', set?.status.numberReady, cluster.expectations.nodes.length)
    check.equal(
      'image',
      set?.spec.template.spec.containers[0]?.image,
      `${want.kube_image_repo}/kube-proxy:v${kubernetesVersion(want)}`,
    )
  },
  refutedBy: {
    'one is not ready': edit =>
      edit.object('daemonsets', 'kube-proxy', set => {
        set.status.numberReady -= 1
      }),
    'one node less': edit =>
      edit.object('daemonsets', 'kube-proxy', set => {
        set.status.desiredNumberScheduled -= 1
      }),
    'an old image': edit =>
      edit.object('daemonsets', 'kube-proxy', set => {
        set.spec.template.spec.containers[0].image = 'registry.k8s.io/kube-proxy:v1.20.0'
      }),
  },
})

invariant('kp-pods-fresh', {
  title: 'The kube-proxy pods are newer than their ConfigMap',
  on: wholeCluster,
  severity: 'critical',
  because: 'They read the kubeconfig once: an old pod still calls the old server.',
  source: [kubespray('roles/kubernetes/kubeadm/tasks/main.yml "Restart all kube-proxy pods"')],
  fix: remedy.kubeProxy,
  correction:
    "The API dumps hold no managedFields: resource versions are compared, the ConfigMap's with those of the events of the pods' creation.",
  judge: ({ cluster, check }) => {
    const changed = cluster.api.configMap('kube-system', 'kube-proxy').metadata.resourceVersion
    const pods = cluster.api.pods.filter(({ metadata }) => metadata.labels['k8s-app'] === 'kube-proxy')
    check.equal('kube-proxy pods', pods.length, cluster.expectations.nodes.length)
    for (const { metadata } of pods) {
      const started = cluster.api.events
        .filter(({ involvedObject }) => involvedObject.kind === 'Pod' && involvedObject.name === metadata.name)
        .map(({ metadata: event }) => event.resourceVersion)
      // Events expire after an hour: the pod's own version, which only grows, is then all there is.
      const first = started.length > 0 ? Math.min(...started) : metadata.resourceVersion
      check.atLeast(`resource version at which ${metadata.name} started`, first, changed)
    }
  },
  dependsOn: ['addon-pods-expected'],
  refutedBy: {
    'the ConfigMap was changed later': edit =>
      edit.object('configmaps', 'kube-proxy', ({ metadata }) => {
        metadata.resourceVersion = '999999999'
      }),
  },
})

invariant('kp-config', {
  title: 'kube-proxy is configured as the inventory says',
  on: wholeCluster,
  severity: 'critical',
  because: 'A wrong clusterCIDR masquerades what it should not, or does not what it should.',
  source: [kubespray('roles/kubernetes/control-plane/defaults/main/kube-proxy.yml')],
  fix: remedy.kubeProxy,
  judge: ({ cluster, want, check }) => {
    const config = cluster.api.kubeProxyConfig
    check.equal('clusterCIDR', config.get('clusterCIDR'), want.kube_pods_subnet)
    check.equal('bindAddress', config.get('bindAddress'), want.kube_proxy_bind_address)
    check.equal('healthzBindAddress', config.get('healthzBindAddress'), want.kube_proxy_healthz_bind_address)
    check.equal('metricsBindAddress', config.get('metricsBindAddress'), want.kube_proxy_metrics_bind_address)
    check.equal('iptables.syncPeriod', config.get('iptables.syncPeriod'), want.kube_proxy_sync_period)
    check.equal(
      'clientConnection.kubeconfig',
      config.get('clientConnection.kubeconfig'),
      '/var/lib/kube-proxy/kubeconfig.conf',
    )
  },
  refutedBy: {
    'another pod network': set('clusterCIDR', '10.244.0.0/16'),
    'metrics for all': set('metricsBindAddress', '0.0.0.0:10249'),
    'another health address': set('healthzBindAddress', '127.0.0.1:10256'),
    'another bind address': set('bindAddress', '192.0.2.1'),
    'another sync period': edit =>
      edit.configMap('kube-proxy', 'config.conf', text => text.replaceAll('syncPeriod: 30s', 'syncPeriod: 5m')),
    'another kubeconfig': set('kubeconfig', '/tmp/x'),
  },
})

invariant('kp-hostname-override', {
  title: "Each kube-proxy runs under its own node's name",
  on: allNodes,
  severity: 'normal',
  because:
    'The ConfigMap names the first control plane for all: without the argument every node would take itself for that one.',
  source: [kubespray('kube-proxy manifest (--hostname-override=$(NODE_NAME))')],
  fix: remedy.kubeProxy,
  judge: ({ cluster, node, check }) => {
    const running = node.processes.find(({ name }) => name === 'kube-proxy')
    check.includes('arguments of kube-proxy', running?.args ?? [], [
      `--hostname-override=${cluster.nodeName(node.name)}`,
    ])
  },
  refutedBy: {
    'another name': edit =>
      edit.output('process-args', text =>
        text.replace(/(kube-proxy\/config\.conf\n--hostname-override=).*/, '$1other'),
      ),
  },
})

invariant('kp-effective', {
  title: 'On the node the Service kubernetes leads to every API server',
  on: allNodes,
  severity: 'critical',
  because: 'Pods call the API by that Service: a rule for a dead API server loses a share of their calls.',
  source: ['iptables-save on the node', kubespray('kube_proxy_mode')],
  fix: remedy.kubeProxy,
  judge: ({ cluster, node, want, check }) => {
    check.equal(`${want.kube_proxy_healthz_bind_address}/healthz`, node.httpCode('curl-kube-proxy-healthz'), 200)
    if (want.kube_proxy_mode !== 'iptables') return
    const rules = node.serviceRules
    check.that(
      `a rule for ${want.kube_apiserver_ip}`,
      rules.some(rule => rule.includes(`-A KUBE-SERVICES -d ${want.kube_apiserver_ip}/32`)),
      'none',
      'in KUBE-SERVICES',
    )
    const targets = rules.flatMap(rule => /--to-destination (\S+)/.exec(rule)?.[1] ?? [])
    check.sameSet(
      'destinations',
      targets,
      cluster.expectations.controlPlanes.map(
        host => `${cluster.mainIp(host)}:${cluster.want(host).kube_apiserver_port}`,
      ),
    )
  },
  refutedBy: {
    'a destination is missing': edit =>
      edit.output('iptables-kubernetes-svc', text => text.replace(/^.*--to-destination.*\n/m, '')),
    'no rule for the Service': edit =>
      edit.output('iptables-kubernetes-svc', text => text.replace(/^-A KUBE-SERVICES .*\n/m, '')),
    unhealthy: edit => edit.output('curl-kube-proxy-healthz', () => '503'),
  },
})

invariant('kp-worker-flows', {
  title: "kube-proxy's connections to the API go through the local balancer",
  on: workers,
  severity: 'critical',
  because: 'The ConfigMap tells what the next start does; this is what runs.',
  source: [seed('component endpoints: kube-proxy through nginx')],
  fix: remedy.kubeProxy,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const calls = node.calls(want.kube_apiserver_port, 'kube-proxy')
    check.atLeast('connections of kube-proxy to the API', calls.all.length, 1)
    check.none(
      'connections past the balancer',
      calls.remote.map(({ peerAddress }) => peerAddress),
    )
  },
  refutedBy: {
    'straight to a control plane': edit =>
      edit.output('ss-established', text =>
        text.replace(/ 127\.0\.0\.1:6443( +users:\(\("kube-proxy")/, ' 192.0.2.11:6443$1'),
      ),
  },
})
