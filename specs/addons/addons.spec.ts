import { plane, wholeCluster, allNodes, topology } from '../../helpers/invariant/invariant.ts'
import type { ClusterContext } from '../../helpers/invariant/invariant.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('addons')
const metrics = kubespray('roles/kubernetes-apps/metrics_server/templates/metrics-server-deployment.yaml.j2')
const unlessMetrics = ({ want }: ClusterContext) =>
  want.metrics_server_enabled ? undefined : 'metrics_server_enabled is false'
const deploymentOf = ({ cluster }: ClusterContext, name: string) =>
  cluster.api.deployments.find(({ metadata }) => metadata.namespace === 'kube-system' && metadata.name === name)

invariant('addon-coredns', {
  title: 'CoreDNS is ready in as many copies as the inventory says, on more than one node',
  on: wholeCluster,
  severity: 'critical',
  because: "With both on one node, that node takes the cluster's names with it.",
  source: [seed('pods'), kubespray('roles/kubernetes-apps/ansible/templates/coredns-deployment.yml.j2')],
  fix: remedy.addons,
  judge: context => {
    const { cluster, want, check } = context
    const deployment = deploymentOf(context, 'coredns')
    check.equal('ready copies', deployment?.status.readyReplicas, want.coredns_replicas)
    check.equal(
      'image',
      deployment?.spec.template.spec.containers[0]?.image,
      `${want.coredns_image_repo}:v${want.coredns_version}`,
    )
    const nodes = new Set(
      cluster.api.pods
        .filter(({ metadata }) => metadata.labels['k8s-app'] === 'kube-dns')
        .map(({ spec }) => spec.nodeName),
    )
    check.atLeast('nodes that run it', nodes.size, Math.min(2, want.coredns_replicas))
  },
  refutedBy: {
    'one copy': edit =>
      edit.object('deployments', 'coredns', ({ status }) => {
        status.readyReplicas = 1
      }),
    'both on one node': edit =>
      edit.api('pods', items => {
        const dns = items.filter(item => item.metadata.labels['k8s-app'] === 'kube-dns')
        for (const pod of dns) pod.spec.nodeName = dns[0].spec.nodeName
        return undefined
      }),
    'another image': edit =>
      edit.object('deployments', 'coredns', ({ spec }) => {
        spec.template.spec.containers[0].image = 'coredns:1.0.0'
      }),
  },
})

invariant('addon-coredns-config', {
  title: "CoreDNS serves the cluster's zone and forwards the rest as the inventory says",
  on: wholeCluster,
  severity: 'normal',
  because: 'Another zone, or a forwarder that is gone, is a cluster without names.',
  source: [kubespray('roles/kubernetes-apps/ansible/templates/coredns-config.yml.j2')],
  fix: remedy.addons,
  judge: ({ cluster, want, check }) => {
    const corefile = cluster.api.configMap('kube-system', 'coredns').data['Corefile'] ?? ''
    const setting = (name: string) =>
      new RegExp(`^\\s*${name}\\s+(.*?)\\s*\\{?\\s*$`, 'm').exec(corefile)?.[1]?.split(/\s+/) ?? []
    check.includes('zones of plugin kubernetes', setting('kubernetes'), [want.dns_domain])
    check.equal('forward', setting('forward'), [
      '.',
      ...(want.upstream_dns_servers.length > 0 ? want.upstream_dns_servers : ['/etc/resolv.conf']),
    ])
    check.that('plugin loop', /^\s*loop\s*$/m.test(corefile), 'not there', 'there')
  },
  refutedBy: {
    'another zone': edit =>
      edit.configMap('coredns', 'Corefile', text => text.replace(/kubernetes \S+/, 'kubernetes example.org')),
    'another forwarder': edit =>
      edit.configMap('coredns', 'Corefile', text => text.replace('forward . /etc/resolv.conf', 'forward . 192.0.2.53')),
    'loops are not noticed': edit => edit.configMap('coredns', 'Corefile', text => text.replace(/^\s*loop\n/m, '')),
  },
})

invariant('addon-coredns-loop', {
  title: 'CoreDNS would not ask itself if its pods were made again',
  on: allNodes,
  severity: 'critical',
  because:
    'Its pods take the host\'s resolv.conf (dnsPolicy Default), into which Kubespray writes CoreDNS\'s own address after they started: a recreated pod may stop with "Loop".',
  source: [issue(11093, 3390), kubespray('roles/kubernetes/preinstall (dns_late)')],
  fix: 'Set upstream_dns_servers, or resolvconf_mode: none on nodes that run CoreDNS.',
  unless: ({ cluster, node }) => {
    const runs = cluster.api.pods.some(
      ({ metadata, spec }) =>
        metadata.labels['k8s-app'] === 'kube-dns' && spec.nodeName === cluster.nodeName(node.name),
    )
    return runs ? undefined : 'CoreDNS does not run on this node'
  },
  judge: ({ node, check }) => check.none('"Loop" in CoreDNS\'s log', node.coreDnsLoops),
  suppliedBy: edit =>
    edit.addText(
      `api/log-coredns-${edit.node}.txt`,
      '.:53\n[INFO] plugin/reload: Running configuration SHA512 = 0\nCoreDNS-1.12.0\n',
    ),
  refutedBy: {
    'a loop': edit =>
      edit.text(
        `api/log-coredns-${edit.node}.txt`,
        text => `${text}[FATAL] plugin/loop: Loop (127.0.0.1:55953 -> :53) detected for zone "."\n`,
      ),
  },
})

invariant('addon-no-autoscaler', {
  title: 'No object of an add-on that the inventory switched off is left',
  on: wholeCluster,
  severity: 'minor',
  because: 'Switching an add-on off does not remove it.',
  source: [seed('enable_dns_autoscaler, enable_nodelocaldns')],
  fix: 'kubectl -n kube-system delete the left-over object.',
  judge: ({ cluster, want, check }) => {
    const names = [...cluster.api.deployments, ...cluster.api.daemonSets].map(({ metadata }) => metadata.name)
    check.none(
      'dns-autoscaler',
      names.filter(name => name === 'dns-autoscaler' && !want.enable_dns_autoscaler),
    )
    check.none(
      'nodelocaldns',
      names.filter(name => name.startsWith('nodelocaldns') && !want.enable_nodelocaldns),
    )
  },
  refutedBy: {
    'the autoscaler is left': {
      edit: edit =>
        edit.api('deployments', items => [
          ...items,
          { ...structuredClone(items[0]), metadata: { ...items[0].metadata, name: 'dns-autoscaler' } },
        ]),
      also: ['var-dns-autoscaler-off'],
    },
  },
})

invariant('addon-metrics-deploy', {
  title: 'metrics-server is ready, with the image and resources of the inventory',
  on: wholeCluster,
  severity: 'critical',
  because: 'With too little memory it is killed, and kubectl top and autoscaling have no figures.',
  source: [seed('metrics_server variables'), metrics],
  fix: remedy.addons,
  correction: 'The image is metrics_server_image_repo and metrics_server_version, not a literal.',
  unless: unlessMetrics,
  judge: context => {
    const { want, check } = context
    const deployment = deploymentOf(context, 'metrics-server')
    const container = deployment?.spec.template.spec.containers[0]
    check.equal('ready copies', deployment?.status.readyReplicas, want.metrics_server_replicas)
    check.equal('requests', container?.resources.requests, {
      cpu: want.metrics_server_requests_cpu,
      memory: want.metrics_server_requests_memory,
    })
    check.equal('limits', container?.resources.limits, {
      cpu: want.metrics_server_limits_cpu,
      memory: want.metrics_server_limits_memory,
    })
    check.equal('image', container?.image, `${want.metrics_server_image_repo}:v${want.metrics_server_version}`)
  },
  dependsOn: ['var-metrics-overrides'],
  refutedBy: {
    'not ready': edit =>
      edit.object('deployments', 'metrics-server', ({ status }) => {
        status.readyReplicas = 0
      }),
    'the default requests': edit =>
      edit.object('deployments', 'metrics-server', ({ spec }) => {
        spec.template.spec.containers[0].resources.requests = { cpu: '100m', memory: '200Mi' }
      }),
    'other limits': edit =>
      edit.object('deployments', 'metrics-server', ({ spec }) => {
        spec.template.spec.containers[0].resources.limits.memory = '64Mi'
      }),
    'another image': edit =>
      edit.object('deployments', 'metrics-server', ({ spec }) => {
        spec.template.spec.containers[0].image = 'metrics-server:v0.1.0'
      }),
  },
})

invariant('addon-metrics-args', {
  title: 'metrics-server asks the kubelets as the inventory says',
  on: wholeCluster,
  severity: 'normal',
  because: 'With another address type or strict TLS it reaches no kubelet.',
  source: [seed('metrics_server defaults'), metrics],
  fix: remedy.addons,
  unless: unlessMetrics,
  dependsOn: ['var-metrics-overrides'],
  judge: context => {
    const { want, check } = context
    check.includes('arguments', deploymentOf(context, 'metrics-server')?.spec.template.spec.containers[0]?.args ?? [], [
      `--secure-port=${want.metrics_server_container_port}`,
      `--kubelet-preferred-address-types=${want.metrics_server_kubelet_preferred_address_types}`,
      `--metric-resolution=${want.metrics_server_metric_resolution}`,
      ...(want.metrics_server_kubelet_insecure_tls ? ['--kubelet-insecure-tls=true'] : []),
    ])
  },
  refutedBy: Object.fromEntries(
    ['secure-port', 'kubelet-preferred-address-types', 'metric-resolution', 'kubelet-insecure-tls'].map(name => [
      `another --${name}`,
      (edit: Edit) =>
        edit.object('deployments', 'metrics-server', ({ spec }) => {
          const container = spec.template.spec.containers[0]
          container.args = container.args.map((arg: string) => (arg.startsWith(`--${name}=`) ? `--${name}=x` : arg))
        }),
    ]),
  ),
})

invariant('addon-metrics-placement', {
  title: "metrics-server is placed by the template's rules and the inventory's, no other",
  on: wholeCluster,
  severity: 'minor',
  because: "In the host's network its port 10250 is the kubelet's.",
  source: [seed('metrics_server defaults'), metrics],
  fix: remedy.addons,
  correction: 'The template itself always adds the control-plane toleration and a preferred anti-affinity.',
  unless: unlessMetrics,
  dependsOn: ['var-metrics-overrides'],
  judge: context => {
    const { want, check } = context
    const spec = deploymentOf(context, 'metrics-server')?.spec.template.spec
    check.equal('hostNetwork', spec?.hostNetwork, want.metrics_server_host_network)
    check.equal('nodeSelector', spec?.nodeSelector, want.metrics_server_nodeselector)
    check.sameSet('tolerations', spec?.tolerations.map(({ key, effect }) => `${key ?? ''}:${effect ?? ''}`) ?? [], [
      'node-role.kubernetes.io/control-plane:NoSchedule',
      ...want.metrics_server_extra_tolerations.map(({ key, effect }) => `${key ?? ''}:${effect ?? ''}`),
    ])
    check.sameSet('kinds of affinity', Object.keys(spec?.affinity ?? {}), [
      ...new Set(['podAntiAffinity', ...Object.keys(want.metrics_server_extra_affinity)]),
    ])
  },
  refutedBy: {
    "in the host's network": edit =>
      edit.object('deployments', 'metrics-server', ({ spec }) => {
        spec.template.spec.hostNetwork = true
      }),
    'a node selector': edit =>
      edit.object('deployments', 'metrics-server', ({ spec }) => {
        spec.template.spec.nodeSelector = { disk: 'ssd' }
      }),
    'it tolerates everything': edit =>
      edit.object('deployments', 'metrics-server', ({ spec }) => {
        spec.template.spec.tolerations.push({ operator: 'Exists' })
      }),
    'a node affinity': edit =>
      edit.object('deployments', 'metrics-server', ({ spec }) => {
        spec.template.spec.affinity.nodeAffinity = {}
      }),
  },
})

invariant('addon-metrics-works', {
  title: 'The metrics API is available and has figures of every node',
  on: wholeCluster,
  severity: 'critical',
  because: 'An APIService that is not available slows every kubectl call, and namespaces can not be deleted.',
  source: [issue(9196)],
  fix: remedy.addons,
  unless: unlessMetrics,
  judge: ({ cluster, check }) => {
    const service = cluster.api.apiServices.find(({ metadata }) => metadata.name === 'v1beta1.metrics.k8s.io')
    check.equal(
      'condition Available',
      service?.status.conditions.find(({ type }) => type === 'Available')?.status,
      'True',
    )
    const names = cluster.expectations.nodes.map(host => cluster.nodeName(host))
    check.includes(
      'nodes in the metrics API',
      cluster.api.nodeMetrics.map(({ metadata }) => metadata.name),
      names,
    )
    check.includes(
      'nodes in kubectl top node',
      cluster.controller.nodeUse.map(row => row['NAME'] ?? ''),
      names,
    )
  },
  refutedBy: {
    'not available': edit =>
      edit.object('apiservices', 'v1beta1.metrics.k8s.io', ({ status }) => {
        status.conditions[0].status = 'False'
      }),
    'a node without figures': edit =>
      edit.text('controller/kubectl-top-nodes.txt', text =>
        text
          .replace(/^.*\n$/m, '')
          .split('\n')
          .slice(0, 3)
          .join('\n'),
      ),
  },
})

invariant('addon-pods-expected', {
  title: 'kube-system runs exactly the pods that the inventory makes, all Running and ready',
  on: wholeCluster,
  severity: 'critical',
  because: 'A pod too many is left from another topology; one too few is a component that is not there.',
  source: [seed('pods: 21 of them')],
  fix: remedy.addons,
  dependsOn: topology,
  judge: ({ cluster, want, check }) => {
    const pods = cluster.api.pods.filter(({ metadata }) => metadata.namespace === 'kube-system')
    const { controlPlanes, nodes, workers } = cluster.expectations
    const expected: Record<string, number> = {
      'kube-apiserver': controlPlanes.length,
      'kube-controller-manager': controlPlanes.length,
      'kube-scheduler': controlPlanes.length,
      'kube-proxy': nodes.length,
      'nginx-proxy': workers.length,
      coredns: want.coredns_replicas,
      ...(want.kube_network_plugin === 'flannel' ? { 'kube-flannel': nodes.length } : {}),
      ...(want.metrics_server_enabled ? { 'metrics-server': want.metrics_server_replicas } : {}),
    }
    for (const [name, count] of Object.entries(expected))
      check.equal(`${name} pods`, pods.filter(({ metadata }) => metadata.name.startsWith(`${name}-`)).length, count)
    check.none(
      'other pods',
      pods
        .map(({ metadata }) => metadata.name)
        .filter(name => !Object.keys(expected).some(one => name.startsWith(`${one}-`))),
    )
    const unwell = pods.filter(
      ({ status }) => status.phase !== 'Running' || !status.containerStatuses.every(({ ready }) => ready),
    )
    check.none(
      'pods that are not Running and ready',
      unwell.map(({ metadata, status }) => `${metadata.name} ${status.phase}`),
    )
  },
  refutedBy: {
    'a pod of another topology': edit =>
      edit.api('pods', items => [
        ...items,
        { ...structuredClone(items[0]), metadata: { ...items[0].metadata, name: 'haproxy-x', labels: {} } },
      ]),
    'a pod is pending': edit =>
      edit.object(
        'pods',
        item => item.metadata.name.startsWith('coredns'),
        ({ status }) => {
          status.phase = 'Pending'
        },
      ),
    'a flannel pod less': edit =>
      edit.api('pods', items =>
        items.filter((item, index) => index !== items.findIndex(one => one.metadata.name.startsWith('kube-flannel'))),
      ),
  },
})

invariant('addon-pod-restarts', {
  title: 'flannel, kube-proxy, CoreDNS and metrics-server have not kept restarting',
  on: wholeCluster,
  severity: 'normal',
  because: 'Each restart of a network pod is a gap in the network of a node.',
  source: [seed('pods: restarts 0')],
  fix: remedy.investigate,
  correction: 'Growth needs two recordings; one allows three restarts a pod.',
  judge: ({ cluster, check }) => {
    const pods = cluster.api.pods.filter(({ metadata }) =>
      /^(kube-flannel|kube-proxy|metrics-server|coredns)-/.test(metadata.name),
    )
    check.atLeast('pods', pods.length, 1)
    for (const { metadata, status } of pods)
      check.atMost(
        `restarts of ${metadata.name}`,
        Math.max(0, ...status.containerStatuses.map(({ restartCount }) => restartCount)),
        3,
      )
  },
  refutedBy: {
    'twelve restarts': edit =>
      edit.object(
        'pods',
        item => item.metadata.name.startsWith('kube-flannel'),
        ({ status }) => {
          status.containerStatuses[0].restartCount = 12
        },
      ),
  },
})
