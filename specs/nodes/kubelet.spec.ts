import { allNodes, plane, workers, topology } from '../../helpers/invariant/invariant.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('nodes')
const CONFIG = '/etc/kubernetes/kubelet-config.yaml'
const config = (change: (text: string) => string) => (edit: Edit) => edit.file(CONFIG, change)
const line = (name: string, value: string) =>
  config(text => text.replace(new RegExp(`^( *)${name}: .*$`, 'm'), `$1${name}: ${value}`))
const template = kubespray('roles/kubernetes/node/templates/kubelet-config.v1beta1.yaml.j2')

invariant('kl-worker-server', {
  title: "The worker's kubelet calls the API through the local balancer",
  on: workers,
  severity: 'blocker',
  because: 'Pointed at one control plane, the worker is lost with that one: the balancer beside it is unused.',
  source: [
    seed('kubelet.conf'),
    kubespray('roles/kubernetes/kubeadm/tasks/main.yml "Update server field in kubelet kubeconfig"'),
  ],
  fix: remedy.kubelet,
  dependsOn: topology,
  judge: ({ node, want, check }) =>
    check.equal(
      'server in kubelet.conf',
      node.kubeconfig('kubelet.conf').server,
      `https://localhost:${want.loadbalancer_apiserver_port}`,
    ),
  refutedBy: {
    'a control plane': edit =>
      edit.file('/etc/kubernetes/kubelet.conf', text => text.replace(/server: .*/, 'server: https://192.0.2.11:6443')),
    'another port': edit =>
      edit.file('/etc/kubernetes/kubelet.conf', text => text.replace(/server: .*/, 'server: https://localhost:7443')),
  },
})

invariant('kl-worker-flows', {
  title: "The kubelet's connections to the API go to loopback only",
  on: workers,
  severity: 'critical',
  because: 'kubelet.conf tells what the next start does; this is what runs.',
  source: [seed('flow')],
  fix: remedy.kubelet,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const calls = node.calls(want.kube_apiserver_port, 'kubelet')
    check.atLeast('connections of the kubelet to the API', calls.all.length, 1)
    check.none(
      'connections past the balancer',
      calls.remote.map(({ peerAddress }) => peerAddress),
    )
  },
  refutedBy: {
    'straight to a control plane': edit =>
      edit.output('ss-established', text =>
        text.replace(/ 127\.0\.0\.1:6443( +users:\(\("kubelet")/, ' 192.0.2.11:6443$1'),
      ),
    'no connection at all': edit =>
      edit.output('ss-established', text => text.replace(/^.*:6443 +users:\(\("kubelet".*\n/gm, '')),
  },
})

invariant('kl-service', {
  title: 'The kubelet runs as the service that Kubespray sets up, and is healthy',
  on: allNodes,
  severity: 'blocker',
  because: 'Without it the node is lost after 40 seconds.',
  source: [kubespray('roles/kubernetes/node/templates/kubelet.service.j2')],
  fix: remedy.kubelet,
  judge: ({ node, want, check }) => {
    const unit = node.unit('kubelet')
    check.equal('ActiveState', unit.get('ActiveState'), 'active')
    check.equal('UnitFileState', unit.get('UnitFileState'), 'enabled')
    check.equal('Restart', unit.get('Restart'), 'always')
    check.that(
      'EnvironmentFiles',
      unit.get('EnvironmentFiles')?.startsWith(`${want.kube_config_dir}/kubelet.env `) === true,
      unit.get('EnvironmentFiles'),
      `${want.kube_config_dir}/kubelet.env`,
    )
    check.equal('mode of kubelet.service', node.serviceUnit('kubelet.service').mode, '0600')
    check.equal('/healthz', node.kubeletHealthy, true)
  },
  refutedBy: {
    'it is not enabled': edit => edit.unit('kubelet', 'UnitFileState', 'disabled'),
    'it failed': edit => edit.unit('kubelet', 'ActiveState', 'failed'),
    'it is not restarted': edit => edit.unit('kubelet', 'Restart', 'no'),
    'its unit is open': edit => edit.status('/etc/systemd/system/kubelet.service', { mode: '0644' }),
    'it is unhealthy': edit =>
      edit.output('curl-kubelet-healthz', () => '[+]ping ok\n[-]syncloop failed: reason withheld\n'),
  },
})

invariant('kl-env', {
  title: 'The kubelet runs with the name and address of the inventory',
  on: allNodes,
  severity: 'critical',
  because: 'They are what the Node is registered by.',
  source: [kubespray('roles/kubernetes/node/templates/kubelet.env.v1beta1.j2')],
  fix: remedy.kubelet,
  judge: ({ cluster, node, want, check }) => {
    const expected = [
      `--node-ip=${cluster.mainIp(node.name)}`,
      `--hostname-override=${cluster.nodeName(node.name)}`,
      `--config=${want.kube_config_dir}/kubelet-config.yaml`,
      `--kubeconfig=${want.kube_config_dir}/kubelet.conf`,
      '--runtime-cgroups=/system.slice/containerd.service',
    ]
    check.includes(
      'arguments in kubelet.env',
      [...node.kubeletEnv.values()].flatMap(value => value.split(/\s+/)),
      expected,
    )
    check.includes(
      'arguments of the running kubelet',
      node.processes.find(({ name }) => name === 'kubelet')?.args ?? [],
      expected,
    )
  },
  refutedBy: {
    'another address in the file': edit =>
      edit.file('/etc/kubernetes/kubelet.env', text => text.replace(/--node-ip=[^"]*/, '--node-ip=10.0.2.15')),
    'another name in the file': edit =>
      edit.file('/etc/kubernetes/kubelet.env', text =>
        text.replace(/--hostname-override=[^"]*/, '--hostname-override=localhost'),
      ),
    'the process has another address': edit =>
      edit.output('process-args', text => text.replace(/--node-ip=.*/, '--node-ip=10.0.2.15')),
  },
})

invariant('kl-config-static-path', {
  title: "The kubelet reads static pods from Kubespray's folder",
  on: allNodes,
  severity: 'blocker',
  because: 'The control plane and the balancer are static pods: without the folder neither starts.',
  source: [template, issue(12970)],
  fix: remedy.kubelet,
  judge: ({ node, want, check }) =>
    check.equal('staticPodPath', node.kubeletConfig.get('staticPodPath'), want.kubelet_static_pod_path),
  refutedBy: { 'another folder': line('staticPodPath', '"/srv/pods"'), none: line('staticPodPath', '""') },
})

invariant('kl-config-dns', {
  title: "The kubelet hands pods the cluster's DNS",
  on: allNodes,
  severity: 'critical',
  because: 'With another address no pod of the node resolves a Service.',
  source: [template],
  fix: remedy.kubelet,
  judge: ({ node, want, check }) => {
    check.equal('clusterDNS', node.kubeletConfig.get('clusterDNS'), [
      want.enable_nodelocaldns ? want.nodelocaldns_ip : want.skydns_server,
    ])
    check.equal('clusterDomain', node.kubeletConfig.get('clusterDomain'), want.dns_domain)
    check.equal('resolvConf', node.kubeletConfig.get('resolvConf'), want.kube_resolv_conf)
  },
  refutedBy: {
    'another server': config(text => text.replace(/^clusterDNS:\n- .*$/m, 'clusterDNS:\n- 10.96.0.10')),
    'another domain': line('clusterDomain', 'example.org'),
    'another resolver file': line('resolvConf', '"/run/systemd/resolve/resolv.conf"'),
  },
})

invariant('kl-config-security', {
  title: 'The kubelet asks who calls it, and what that one may do',
  on: allNodes,
  severity: 'critical',
  because: 'An open kubelet runs commands in every pod of the node for whoever asks.',
  source: [template, kubespray('roles/kubernetes/node/defaults/main.yml')],
  fix: remedy.kubelet,
  judge: ({ node, want, check }) => {
    const get = (path: string) => node.kubeletConfig.get(path)
    check.equal('authentication.anonymous.enabled', get('authentication.anonymous.enabled'), false)
    check.equal(
      'authentication.webhook.enabled',
      get('authentication.webhook.enabled'),
      want.kubelet_authentication_token_webhook,
    )
    check.equal(
      'authorization.mode',
      get('authorization.mode'),
      want.kubelet_authorization_mode_webhook ? 'Webhook' : 'AlwaysAllow',
    )
    check.equal(
      'authentication.x509.clientCAFile',
      get('authentication.x509.clientCAFile'),
      `${want.kube_cert_dir}/ca.crt`,
    )
    check.equal('readOnlyPort', get('readOnlyPort'), 0)
    check.equal('rotateCertificates', get('rotateCertificates'), want.kubelet_rotate_certificates)
    check.equal('protectKernelDefaults', get('protectKernelDefaults'), want.kubelet_protect_kernel_defaults)
    check.equal('failSwapOn', get('failSwapOn'), want.kubelet_fail_swap_on)
  },
  refutedBy: {
    'anonymous callers': config(text => text.replace(/(anonymous:\n\s+enabled:) false/, '$1 true')),
    'everything is allowed': config(text => text.replace('mode: Webhook', 'mode: AlwaysAllow')),
    'an open port': line('readOnlyPort', '10255'),
    'certificates do not rotate': line('rotateCertificates', 'false'),
    'the kernel is not protected': line('protectKernelDefaults', 'false'),
    'swap is allowed': line('failSwapOn', 'False'),
    'another CA': line('clientCAFile', '/tmp/ca.crt'),
    'tokens are not asked about': config(text => text.replace(/(webhook:\n\s+enabled:) True/, '$1 False')),
  },
})

invariant('kl-config-resources', {
  title: 'The kubelet reserves what the inventory says, and takes as many pods',
  on: allNodes,
  severity: 'normal',
  because: 'Without reservations pods starve the kubelet and the control plane.',
  source: [kubespray('roles/kubernetes/node/defaults/main.yml'), template],
  fix: remedy.kubelet,
  judge: ({ node, want, check }) => {
    const get = (path: string) => node.kubeletConfig.get(path)
    check.equal('maxPods', get('maxPods'), want.kubelet_max_pods)
    check.equal('kubeReserved', get('kubeReserved'), {
      cpu: want.kube_cpu_reserved,
      memory: want.kube_memory_reserved,
      'ephemeral-storage': want.kube_ephemeral_storage_reserved,
      pid: String(want.kube_pid_reserved),
    })
    check.equal('systemReserved', get('systemReserved'), {
      cpu: want.system_cpu_reserved,
      memory: want.system_memory_reserved,
      'ephemeral-storage': want.system_ephemeral_storage_reserved,
      pid: String(want.system_pid_reserved),
    })
    check.equal('shutdownGracePeriod', get('shutdownGracePeriod'), want.kubelet_shutdown_grace_period)
    check.equal(
      'shutdownGracePeriodCriticalPods',
      get('shutdownGracePeriodCriticalPods'),
      want.kubelet_shutdown_grace_period_critical_pods,
    )
    check.equal('eventRecordQPS', get('eventRecordQPS'), want.kubelet_event_record_qps)
  },
  refutedBy: {
    'more pods': line('maxPods', '500'),
    'nothing for Kubernetes': config(text => text.replace('cpu: "100m"', 'cpu: "0"')),
    'nothing for the system': config(text => text.replace('memory: "512Mi"', 'memory: "0"')),
    'no time to shut down': line('shutdownGracePeriod', '0s'),
    'events are dropped': line('eventRecordQPS', '1'),
  },
})

invariant('kl-sockets', {
  title: "The kubelet serves on the host's address, its health on loopback, and nothing without authentication",
  on: allNodes,
  severity: 'normal',
  because: 'On every address it is open to networks that were never meant to reach it.',
  source: [kubespray('roles/kubernetes/node/defaults/main.yml (kubelet_bind_address)')],
  fix: remedy.kubelet,
  judge: ({ cluster, node, want, check }) => {
    const own = node.listening.filter(({ processes }) => processes.some(({ name }) => name === 'kubelet'))
    const bound = want.kubelet_bind_address ?? cluster.mainIp(node.name)
    const known = own.filter(({ localPort }) => [10250, 10248, 10255].includes(localPort))
    check.sameSet(
      'sockets',
      known.map(({ localAddress, localPort }) => `${localAddress}:${localPort}`),
      [`${bound}:10250`, '127.0.0.1:10248'],
    )
  },
  refutedBy: {
    'on every address': edit => edit.output('ss-listen', text => text.replace(/ \S+:10250 /, ' *:10250 ')),
    'the read-only port': edit =>
      edit.output(
        'ss-listen',
        text => `${text}tcp LISTEN 0 4096 0.0.0.0:10255 0.0.0.0:* users:(("kubelet",pid=9,fd=9))\n`,
      ),
    'no health': edit => edit.output('ss-listen', text => text.replace(/^.*:10248 .*\n/m, '')),
  },
})

invariant('kl-cert-rotation', {
  title: "The kubelet's client certificate is the node's, of the cluster's CA, and rotates in time",
  on: allNodes,
  severity: 'blocker',
  because: 'When it expires the node is lost, and joining again is the only way back.',
  source: [issue(5555), kubespray('kubelet_rotate_certificates')],
  fix: remedy.kubelet,
  judge: ({ cluster, node, check }) => {
    const certificate = node.kubeletClientCertificate
    check.equal('common name', certificate.commonName, `system:node:${cluster.nodeName(node.name)}`)
    check.includes('organizations', certificate.organizations, ['system:nodes'])
    check.that('issuer', certificate.isIssuedBy(node.caCertificate), 'another CA', "the cluster's CA")
    check.that(
      'expires',
      certificate.notAfter - cluster.recordedAt > 30 * 24 * 3600 * 1000,
      new Date(certificate.notAfter).toISOString(),
      'more than 30 days after the recording',
    )
    check.equal(
      'client-certificate in kubelet.conf',
      node.kubeconfig('kubelet.conf').clientCertificateFile,
      '/var/lib/kubelet/pki/kubelet-client-current.pem',
    )
  },
  dependsOn: ['cert-ca-same', 'kc-kubelet-cp'],
  refutedBy: {
    "another's certificate": edit =>
      edit.file(clientCertificate(edit), () =>
        edit.on(edit.others[0] ?? '').content(clientCertificate(edit.on(edit.others[0] ?? ''))),
      ),
    'of another CA': edit => edit.file(clientCertificate(edit), () => edit.content('/etc/ssl/etcd/ssl/ca.pem')),
  },
})

/** The file that kubelet-client-current.pem leads to. */
function clientCertificate(edit: Edit): string {
  return edit.files('/var/lib/kubelet/pki/kubelet-client-2')[0] ?? ''
}

invariant('kl-bootstrap-clean', {
  title: 'No bootstrap kubeconfig is left, and kubeadm-client.conf is on workers only',
  on: allNodes,
  severity: 'minor',
  because: 'It holds a token that joins nodes.',
  source: [kubespray('roles/kubernetes/kubeadm/tasks/main.yml')],
  fix: remedy.leftover,
  judge: ({ cluster, node, want, check }) => {
    const names = node.etcKubernetes.names(want.kube_config_dir)
    check.none(
      'bootstrap kubeconfigs',
      names.filter(name => name === 'bootstrap-kubelet.conf'),
    )
    check.equal(
      'kubeadm-client.conf is there',
      names.includes('kubeadm-client.conf'),
      !cluster.isControlPlane(node.name),
    )
  },
  refutedBy: {
    'it is left': edit =>
      edit.output(
        'etc-kubernetes-listing',
        text => `${text}-rw------- root root 1900 1795388097.0 /etc/kubernetes/bootstrap-kubelet.conf -> \n`,
      ),
  },
})

invariant('kl-old-confs', {
  title: 'No process runs with a backup copy of a configuration',
  on: allNodes,
  severity: 'minor',
  because: 'Such a copy is renewed by nobody.',
  source: [kubespray('roles/kubernetes/control-plane/tasks/kubeadm-backup.yml')],
  fix: remedy.kubelet,
  judge: ({ node, check }) => {
    check.atLeast('processes', node.processes.length, 1)
    check.none(
      'arguments that name a copy',
      node.processes.flatMap(({ args }) => args.filter(arg => /\.(old|bak)\b|~$/.test(arg))),
    )
  },
  refutedBy: {
    'the kubelet runs with kubelet.conf.old': {
      edit: edit => edit.output('process-args', text => text.replace(/(--kubeconfig=\S+kubelet\.conf)$/m, '$1.old')),
      also: ['kl-env'],
    },
  },
})
