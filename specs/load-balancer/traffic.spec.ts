import { kubernetesVersion } from '../../helpers/expectations/expectations.ts'
import { plane, workers, topology } from '../../helpers/invariant/invariant.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('load-balancer')

invariant('lb-sockets', {
  title: "nginx, and nothing else, listens on 127.0.0.1 at the balancer's port and at the health check port",
  on: workers,
  severity: 'blocker',
  because: "Another process on either port (a host-installed nginx, a hostNetwork pod) takes the kubelet's calls.",
  source: [seed('ss -tnlp'), issue(6716, 9135, 6876)],
  fix: 'Find the other process (ss -tnlp), stop it, and recreate the nginx-proxy pod.',
  judge: ({ node, want, check }) => {
    const port = want.loadbalancer_apiserver_port
    const health = want.loadbalancer_apiserver_healthcheck_port
    const sockets = node.listening.filter(({ localPort }) => localPort === port || localPort === health)
    check.sameSet(
      'sockets',
      sockets.map(({ localAddress, localPort }) => `${localAddress}:${localPort}`),
      [
        `127.0.0.1:${port}`,
        ...(want.ipv6_stack ? [`::1:${port}`] : []),
        ...(health === undefined ? [] : [`0.0.0.0:${health}`]),
      ],
    )
    check.sameSet(
      'processes',
      [...new Set(sockets.flatMap(({ processes }) => processes.map(({ name }) => name)))],
      ['nginx'],
    )
    check.sameSet('backlogs', [...new Set(sockets.map(({ sendQueue }) => String(sendQueue)))], ['511'])
    const owners = new Set(sockets.flatMap(({ processes }) => processes.map(({ pid }) => String(pid))))
    check.sameSet(
      'process IDs',
      [...owners],
      node.nginxProcesses.map(({ pid }) => String(pid)),
    )
  },
  dependsOn: [...topology, 'lb-workers'],
  refutedBy: {
    'nobody listens on 6443': edit => edit.output('ss-listen', text => text.replace(/^.*127\.0\.0\.1:6443 .*\n/m, '')),
    'the balancer is open to the network': edit =>
      edit.output('ss-listen', text => text.replace('127.0.0.1:6443 ', '0.0.0.0:6443 ')),
    'another process has the port': edit => edit.output('ss-listen', text => text.replaceAll('"nginx"', '"haproxy"')),
    'another nginx': edit => edit.output('ss-listen', text => text.replace(/(0\.0\.0\.0:8081 .*?pid=)\d+/, '$199999')),
  },
})

invariant('lb-healthz', {
  title: '/healthz answers 200, and tells no version',
  on: workers,
  severity: 'critical',
  because: 'The probes ask it. It is a constant: it says nothing of the API servers.',
  source: [seed('curl -sI localhost:8081/healthz')],
  fix: remedy.renderLoadBalancer,
  unless: ({ want }) =>
    want.loadbalancer_apiserver_healthcheck_port === undefined
      ? 'loadbalancer_apiserver_healthcheck_port is not set'
      : undefined,
  dependsOn: topology,
  judge: ({ node, check }) => {
    const { status, headers } = node.balancerHealth
    check.equal('status', status, 200)
    check.equal('Server', headers.get('server'), 'nginx')
    check.atLeast('active connections (stub_status)', node.balancerStatus.active, 1)
  },
  refutedBy: {
    '503': edit => edit.output('curl-lb-healthz', text => text.replace('200 OK', '503 Service Unavailable')),
    'the version is told': edit =>
      edit.output('curl-lb-healthz', text => text.replace('Server: nginx', 'Server: nginx/1.28.0')),
    'another server': edit => edit.output('curl-lb-healthz', text => text.replace('Server: nginx', 'Server: Apache')),
  },
})

invariant('lb-healthz-exposure', {
  title: 'The health check port is open to the node only',
  on: workers,
  severity: 'advisory',
  because:
    'nginx binds it on every address: whoever reaches the node reads /stub_status, and may take a port that others want.',
  source: [issue(9135), kubespray('roles/kubernetes/node/templates/loadbalancer/nginx.conf.j2')],
  fix: 'Firewall loadbalancer_apiserver_healthcheck_port from outside the node.',
  unless: ({ want }) =>
    want.loadbalancer_apiserver_healthcheck_port === undefined
      ? 'loadbalancer_apiserver_healthcheck_port is not set'
      : undefined,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const addresses = node.listening
      .filter(({ localPort }) => localPort === want.loadbalancer_apiserver_healthcheck_port)
      .map(({ localAddress }) => localAddress)
    check.equal(`addresses of port ${want.loadbalancer_apiserver_healthcheck_port ?? ''}`, addresses, ['127.0.0.1'])
  },
  suppliedBy: edit => edit.output('ss-listen', text => text.replace('0.0.0.0:8081', '127.0.0.1:8081')),
  refutedBy: {
    'open to the network': edit => edit.output('ss-listen', text => text.replace('127.0.0.1:8081', '0.0.0.0:8081')),
  },
})

invariant('lb-api-through', {
  title: 'Through the balancer the API answers, by address and by name, with a certificate that verifies',
  on: workers,
  severity: 'blocker',
  because: 'This is the path that everything on the worker takes.',
  source: [seed('API call test on the worker')],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    for (const id of [
      'curl-local-version',
      'curl-localhost-version',
      'curl-local-version-verified',
      'curl-localhost-verified',
    ]) {
      check.equal(`gitVersion by ${id}`, node.apiVersion(id).gitVersion, `v${kubernetesVersion(want)}`)
    }
  },
  refutedBy: {
    'another version by address': edit =>
      edit.json('curl-local-version', version => {
        version.gitVersion = 'v1.20.0'
      }),
    'another version by name': edit =>
      edit.json('curl-localhost-version', version => {
        version.gitVersion = 'v1.20.0'
      }),
    'another version, verified': edit =>
      edit.json('curl-localhost-verified', version => {
        version.gitVersion = 'v1.20.0'
      }),
  },
})

invariant('lb-upstreams-alive', {
  title: "Every upstream serves the certificate of its control plane, of the cluster's CA",
  on: workers,
  severity: 'blocker',
  because: 'An upstream that answers for another cluster passes every check of the file.',
  source: [seed('nginx reaches all three API servers')],
  fix: remedy.investigate,
  judge: ({ cluster, node, want, check }) => {
    for (const controlPlane of cluster.controlPlanes) {
      const onDisk = controlPlane.certificate(`${want.kube_cert_dir}/apiserver.crt`)
      check.equal(
        `served by ${controlPlane.name}`,
        node.servedCertificate(`cert-served-${cluster.mainAccessIp(controlPlane.name)}`).fingerprint,
        onDisk.fingerprint,
      )
      check.that(
        `certificate of ${controlPlane.name}`,
        onDisk.isIssuedBy(node.caCertificate),
        'of another CA',
        "issued by the worker's ca.crt",
      )
    }
    const through = node.servedCertificate('apiserver-cert-served').fingerprint
    const all = cluster.controlPlanes.map(
      ({ name }) => cluster.node(name).certificate(`${want.kube_cert_dir}/apiserver.crt`).fingerprint,
    )
    check.includes('certificates of control planes', all, [through])
  },
  dependsOn: [...topology, 'cert-ca-same', 'cert-apiserver-sans'],
  refutedBy: {
    'an upstream of another cluster': edit =>
      edit.output(servedBy(edit), text =>
        text.replace(/Fingerprint=../, found => (found.endsWith('00') ? 'Fingerprint=11' : 'Fingerprint=00')),
      ),
    'a stranger behind the balancer': edit =>
      edit.output('apiserver-cert-served', text =>
        text.replace(/Fingerprint=../, found => (found.endsWith('00') ? 'Fingerprint=11' : 'Fingerprint=00')),
      ),
  },
})

invariant('lb-all-answer', {
  title: 'Through the balancer every API server answers when connections are held side by side',
  on: workers,
  severity: 'normal',
  because: 'One that never answers is taken for dead by nginx: the failover then has one server less than it says.',
  source: [
    seed('flow'),
    'nginx least_conn: https://nginx.org/en/docs/stream/ngx_stream_upstream_module.html#least_conn',
  ],
  fix: remedy.investigate,
  judge: ({ cluster, node, check }) => {
    for (const { name } of cluster.controlPlanes) {
      const { fingerprint } = node.servedCertificate(`cert-served-${cluster.mainAccessIp(name)}`)
      check.includes(`certificates served through the balancer (${name})`, node.balancerAnswers, [fingerprint])
    }
  },
  dependsOn: [...topology, 'lb-upstreams-alive'],
  suppliedBy: edit => edit.addCommand('balancer-answers', servedByAll(edit)),
  refutedBy: {
    'one is never chosen': edit => edit.output('balancer-answers', text => text.split('\n').slice(1).join('\n')),
  },
})

/** What every control plane serves, a line each. */
function servedByAll(edit: Edit): string {
  return edit.recording
    .sources(`nodes/${edit.node}/commands/cert-served-`)
    .map(source => edit.recordedText(source))
    .join('')
}

/** The id of the first recorded certificate that was served by an address. */
function servedBy(edit: Edit): string {
  return edit.recording.sources(`nodes/${edit.node}/commands/cert-served-`)[0]?.split('/').at(-1) ?? ''
}

invariant('lb-log-clean', {
  title: "The balancer's log holds no alert, and no lost upstreams since the deployment",
  on: workers,
  severity: 'critical',
  because: 'A failed setrlimit caps its connections; without live upstreams the node had no API.',
  source: [seed('troubleshooting: nginx rlimit'), issue(13253)],
  fix: remedy.raiseRlimit,
  correction:
    'A fresh installation logs "no live upstreams" when Kubespray\'s last handler restarts all API servers at once: only lines after the last PLAY RECAP count. setrlimit counts always.',
  dependsOn: [...topology, 'cri-rlimit-vs-nginx', 'lb-error-log'],
  judge: ({ cluster, node, check }) => {
    const log = node.balancerLog()
    const deployed = cluster.controller.installLog.endedAt ?? 0
    check.atLeast('lines', log.length, 1)
    const say = (lines: typeof log) => lines.map(({ line, level, message }) => `line ${line}: [${level}] ${message}`)
    check.none('failed setrlimit', say(log.filter(({ message }) => message.includes('setrlimit(RLIMIT_NOFILE'))))
    check.none(
      'alerts and emergencies',
      say(
        log.filter(
          ({ level, message }) => ['alert', 'emerg', 'crit'].includes(level) && !message.includes('setrlimit'),
        ),
      ),
    )
    const late = log.filter(
      ({ at, message }) => at > deployed && /no live upstreams|upstream timed out|Connection refused/.test(message),
    )
    check.atMost('lost upstreams since the deployment', late.length, 3)
  },
  refutedBy: {
    'setrlimit failed': edit =>
      edit.text(
        `api/log-nginx-proxy-${edit.node}.txt`,
        text =>
          `${text}2026/11/22 23:00:18 [alert] 8#8: setrlimit(RLIMIT_NOFILE, 130048) failed (1: Operation not permitted)\n`,
      ),
    'an emergency': edit =>
      edit.text(
        `api/log-nginx-proxy-${edit.node}.txt`,
        text =>
          `${text}2026/11/22 23:00:18 [emerg] 1#1: bind() to 127.0.0.1:6443 failed (98: Address already in use)\n`,
      ),
    'upstreams are lost again and again': edit =>
      edit.text(
        `api/log-nginx-proxy-${edit.node}.txt`,
        text => text + '2026/11/22 23:00:19 [error] 8#8: *1 no live upstreams while connecting to upstream\n'.repeat(9),
      ),
  },
})

invariant('lb-effective-rlimit', {
  title: "nginx's workers may open as many files as they ask for",
  on: workers,
  severity: 'critical',
  because:
    'Every proxied connection takes two: at the limit new ones are refused, and the kubelet loses the API under load.',
  source: [seed('troubleshooting: nginx rlimit')],
  fix: remedy.raiseRlimit,
  correction: "Workers only: the master keeps the container's limit.",
  dependsOn: [...topology, 'cri-rlimit-vs-nginx', 'lb-workers'],
  judge: ({ node, check }) => {
    const asked = Number(node.nginxConf.value('worker_rlimit_nofile'))
    const processes = node.nginxProcesses.filter(({ title }) => title.startsWith('nginx: worker'))
    check.atLeast('worker processes', processes.length, 1)
    for (const { pid, softLimit } of processes)
      check.atLeast(`open files of worker ${pid}, where worker_rlimit_nofile is ${asked}`, softLimit, asked)
  },
  refutedBy: {
    'a worker with fewer': edit =>
      edit.output('nginx-processes', text =>
        text.replace(/(nginx: worker[^\n]*\nMax open files\s+)\d+(\s+)\d+/, '$11024$21024'),
      ),
  },
})

invariant('lb-balance', {
  title: 'With many connections nginx uses more than one API server',
  on: workers,
  severity: 'normal',
  because: 'least_conn counts within one worker process: a few connections may rest on one server, many must not.',
  source: [seed('flow'), 'nginx least_conn without a zone'],
  fix: remedy.renderLoadBalancer,
  unless: ({ cluster, node, want }) => {
    const upstream = node.calls(want.kube_apiserver_port, 'nginx').remote
    const least = 2 * cluster.expectations.controlPlanes.length
    return upstream.length < least
      ? `${upstream.length} connections to API servers: fewer than ${least} say nothing of balance`
      : undefined
  },
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const upstream = node.calls(want.kube_apiserver_port, 'nginx').remote
    check.atLeast('API servers in use', new Set(upstream.map(({ peerAddress }) => peerAddress)).size, 2)
  },
  suppliedBy: edit =>
    edit.output(
      'ss-established',
      text =>
        text +
        [1, 2, 3, 4, 5, 6]
          .map(n => `0 0 192.0.2.14:4000${n} 192.0.2.${10 + (n % 3)}:6443 users:(("nginx",pid=5847,fd=3${n}))\n`)
          .join(''),
    ),
  refutedBy: {
    'all on one': edit =>
      edit.output('ss-established', text =>
        text
          .replace(/ \S+:6443( +users:\(\("nginx")/g, ' 192.0.2.10:6443$1')
          .replace(/^.*\b127\.0\.0\.1:\d+ +192\.0\.2\.10:6443.*\n/gm, ''),
      ),
  },
})
