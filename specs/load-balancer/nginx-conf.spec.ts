import type { Cluster } from '../../helpers/evidence/cluster.ts'
import type { Values } from '../../helpers/expectations/expectations.ts'
import { NginxBlock } from '../../helpers/facts/nginx-conf.ts'
import { plane, wholeCluster, workers, topology } from '../../helpers/invariant/invariant.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('load-balancer')
const template = kubespray('roles/kubernetes/node/templates/loadbalancer/nginx.conf.j2')
const CONF = '/etc/nginx/nginx.conf'
/** Every edit of nginx.conf also leaves the checksum in the pod's annotation behind. */
const also = ['lb-conf-checksum']
const conf = (change: (text: string) => string, more: readonly string[] = []) => ({
  edit: (edit: Edit) => edit.file(CONF, change),
  also: [...also, ...more],
})

invariant('lb-upstreams-exact', {
  title: "nginx sends the API's traffic to every API server, and to nothing else",
  on: workers,
  severity: 'blocker',
  because:
    'A missing one takes no load and is no replacement; a removed one costs a second for every third connection.',
  source: [seed('nginx.conf'), template, issue(12102, 10404)],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ cluster, node, check }) => {
    const servers = node.nginxConf
      .block('stream')
      .block('upstream', 'kube_apiserver')
      .all('server')
      .map(({ args }) => args.join(' '))
    check.sameSet('servers of upstream kube_apiserver', servers, cluster.apiServerAddresses)
  },
  refutedBy: {
    'one is missing': conf(text => text.replace(/^\s*server \S+:6443;\n/m, '')),
    'a removed control plane': conf(text =>
      text.replace(/^(\s*)server (\S+):6443;/m, '$1server $2:6443;\n$1server 192.0.2.9:6443;'),
    ),
    itself: conf(text => text.replace(/server \S+:6443;/, 'server 127.0.0.1:6443;')),
    'one twice': conf(text => text.replace(/^(\s*server \S+:6443;\n)/m, '$1$1')),
    'a weight': conf(text => text.replace(/server (\S+:6443);/, 'server $1 weight=5;')),
    'one is marked down': conf(text => text.replace(/server (\S+:6443);/, 'server $1 down;')),
  },
})

invariant('lb-upstreams-uniform', {
  title: 'All workers have the same upstreams',
  on: wholeCluster,
  severity: 'critical',
  because: 'A run with --limit renews some of them: the others keep a control plane that is gone.',
  source: [issue(12182), template],
  fix: remedy.renderLoadBalancer,
  correction: 'With one worker it compares that one with the inventory.',
  judge: ({ cluster, check }) => {
    const upstreams = cluster.workers.map(node =>
      node.nginxConf
        .block('stream')
        .block('upstream', 'kube_apiserver')
        .all('server')
        .map(({ args }) => args.join(' '))
        .sort(),
    )
    for (const [index, servers] of upstreams.entries())
      check.equal(`upstreams of ${cluster.expectations.workers[index] ?? ''}`, servers, upstreams[0])
    check.equal('number of upstreams', upstreams[0]?.length, cluster.expectations.controlPlanes.length)
  },
  dependsOn: [...topology, 'lb-upstreams-exact'],
  refutedBy: {
    'one has another set': {
      edit: edit => edit.on(workerOf(edit)).file(CONF, text => text.replace(/^\s*server \S+:6443;\n/m, '')),
      also: [...also, 'lb-upstreams-exact', 'lb-directives-exact'],
    },
  },
})

/** A recorded node that runs the balancer. */
function workerOf(edit: Edit): string {
  return edit.recording.nodes.find(name => edit.on(name).files(CONF).length > 0) ?? ''
}

invariant('lb-least-conn', {
  title: 'nginx hands each connection to the API server with the fewest',
  on: workers,
  severity: 'critical',
  because: 'With another method one API server can take most of the watches of a node after a failover.',
  source: [seed('nginx.conf'), template],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, check }) => {
    const upstream = node.nginxConf.block('stream').block('upstream', 'kube_apiserver')
    const methods = upstream.directives
      .map(({ name }) => name)
      .filter(name => ['least_conn', 'hash', 'ip_hash', 'random', 'least_time'].includes(name))
    check.equal('balancing method', methods, ['least_conn'])
  },
  refutedBy: {
    'the directive is gone': conf(text => text.replace('least_conn;', '')),
    'hash in its place': conf(text => text.replace('least_conn;', 'hash $remote_addr;')),
  },
})

invariant('lb-proxy-pass', {
  title: 'The one server of the stream passes its connections to that upstream',
  on: workers,
  severity: 'blocker',
  because: 'A right upstream that no proxy_pass uses is a broken balancer.',
  source: [seed('nginx.conf'), template],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, check }) => {
    const servers = node.nginxConf.block('stream').blocks('server')
    check.equal(
      'proxy_pass of each server in stream',
      servers.map(server => server.value('proxy_pass')),
      ['kube_apiserver'],
    )
    check.equal(
      'upstreams in stream',
      node.nginxConf
        .block('stream')
        .all('upstream')
        .map(({ args }) => args.join(' ')),
      ['kube_apiserver'],
    )
  },
  refutedBy: {
    'one fixed API server': conf(text => text.replace(/proxy_pass\s+kube_apiserver;/, 'proxy_pass 192.0.2.11:6443;')),
    'a second server': conf(text =>
      text.replace(/^ {4}\}\n\n {2}server \{[^}]*\}/m, '$&\n  server { proxy_pass other; }'),
    ),
    'no proxy_pass': conf(text => text.replace(/proxy_pass\s+kube_apiserver;/, '')),
  },
})

invariant('lb-listen-local', {
  title: "The balancer listens on loopback, at the balancer's port, and nowhere else",
  on: workers,
  severity: 'blocker',
  because: 'On another port the kubelet is refused; on every address the worker is an open door to the API.',
  source: [seed('nginx.conf'), template],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const listens = node.nginxConf
      .block('stream')
      .blocks('server')
      .flatMap(server => server.all('listen').map(({ args }) => args.join(' ')))
    const port = want.loadbalancer_apiserver_port
    check.sameSet('listen in stream', listens, [`127.0.0.1:${port}`, ...(want.ipv6_stack ? [`[::1]:${port}`] : [])])
  },
  refutedBy: {
    'every address': conf(text => text.replace('127.0.0.1:6443', '6443')),
    'another port': conf(text => text.replace('127.0.0.1:6443', '127.0.0.1:7443')),
  },
})

invariant('lb-timeouts', {
  title: 'nginx gives up a dead API server after a second, and an idle connection after ten minutes',
  on: workers,
  severity: 'critical',
  because: 'Without the short connect timeout every call waits a minute when a control plane vanishes.',
  source: [seed('nginx.conf'), template, issue(2150)],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const server = node.nginxConf.block('stream').block('server')
    check.equal('proxy_timeout', server.value('proxy_timeout'), want.proxy_timeout)
    check.equal('proxy_connect_timeout', server.value('proxy_connect_timeout'), want.proxy_connect_timeout)
  },
  refutedBy: {
    'a long connect timeout': conf(text => text.replace('proxy_connect_timeout 1s', 'proxy_connect_timeout 60s')),
    'no connect timeout': conf(text => text.replace('proxy_connect_timeout 1s;', '')),
    'a short idle timeout': conf(text => text.replace('proxy_timeout 10m', 'proxy_timeout 10s')),
  },
})

invariant('lb-passive-defaults', {
  title: 'nginx takes a failed API server out by its own defaults',
  on: workers,
  severity: 'normal',
  because:
    'Open-source nginx has no active health checks: max_fails 1 and fail_timeout 10s are all that keeps a dead one out.',
  source: [template, issue(11308, 2091)],
  fix: remedy.renderLoadBalancer,
  correction: 'The seed says that nginx health-checks its back ends: it does so passively, on real connections.',
  judge: ({ node, check }) => {
    const stream = node.nginxConf.block('stream')
    const servers = stream.block('upstream', 'kube_apiserver').all('server')
    check.atLeast('servers', servers.length, 1)
    check.none(
      'servers with max_fails or fail_timeout',
      servers
        .filter(({ args }) => args.some(arg => /^(max_fails|fail_timeout)=/.test(arg)))
        .map(({ args }) => args.join(' ')),
    )
    check.equal('proxy_next_upstream', stream.block('server').value('proxy_next_upstream') ?? 'on', 'on')
  },
  dependsOn: [...topology, 'lb-upstreams-exact'],
  refutedBy: {
    'failures are not counted': {
      edit: edit => edit.file(CONF, text => text.replace(/server (\S+:6443);/, 'server $1 max_fails=0;')),
      also: [...also, 'lb-upstreams-exact'],
    },
    'the next is not tried': conf(text =>
      text.replace('proxy_timeout 10m;', 'proxy_timeout 10m; proxy_next_upstream off;'),
    ),
  },
})

invariant('lb-workers', {
  title: 'nginx has the worker settings of the release, and its workers run',
  on: workers,
  severity: 'normal',
  because: 'They decide how many connections the node can hold, and how long a reload keeps old ones.',
  source: [seed('nginx.conf'), template],
  fix: remedy.renderLoadBalancer,
  correction: "worker_rlimit_nofile is the release's, or a declared override: the documented remedy lowers it.",
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const { nginxConf } = node
    const events = nginxConf.block('events')
    check.equal('worker_processes', nginxConf.value('worker_processes'), String(want.worker_processes))
    check.equal('worker_rlimit_nofile', nginxConf.value('worker_rlimit_nofile'), String(want.worker_rlimit_nofile))
    check.equal('worker_shutdown_timeout', nginxConf.value('worker_shutdown_timeout'), want.worker_shutdown_timeout)
    check.equal('worker_connections', events.value('worker_connections'), String(want.worker_connections))
    check.equal('use', events.value('use'), 'epoll')
    check.equal('multi_accept', events.value('multi_accept'), 'on')
    check.atLeast('worker_rlimit_nofile', want.worker_rlimit_nofile, want.worker_connections)
    const titles = node.nginxProcesses.map(({ title }) => title)
    check.equal('master processes', titles.filter(title => title.startsWith('nginx: master')).length, 1)
    check.equal(
      'worker processes',
      titles.filter(title => title.startsWith('nginx: worker') && !title.includes('shutting down')).length,
      want.worker_processes,
    )
  },
  refutedBy: {
    'another number of workers': conf(text => text.replace('worker_processes 2', 'worker_processes 1')),
    'another limit': {
      edit: edit => edit.file(CONF, text => text.replace(/worker_rlimit_nofile \d+/, 'worker_rlimit_nofile 1024')),
      also,
    },
    'fewer connections': conf(text => text.replace('worker_connections 16384', 'worker_connections 512')),
    'another event method': conf(text => text.replace('use epoll', 'use poll')),
    'one connection at a time': conf(text => text.replace('multi_accept on', 'multi_accept off')),
    'no time to shut down': conf(text => text.replace('worker_shutdown_timeout 10s;', '')),
    'a worker is gone': edit =>
      edit.output('nginx-processes', text => text.replace(/== \d+ nginx: worker[^]*?\n[^\n]*\n/, '')),
  },
})

invariant('lb-error-log', {
  title: "nginx writes its notices and errors to the container's log",
  on: workers,
  severity: 'normal',
  because: 'With another log a broken balancer looks quiet: lb-log-clean would pass on an empty one.',
  source: [seed('nginx.conf'), template],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, check }) => {
    check.equal('error_log', node.nginxConf.value('error_log'), 'stderr notice')
    check.atLeast('lines in the log', node.balancerLog().length, 1)
  },
  refutedBy: {
    'errors only': conf(text => text.replace('error_log stderr notice', 'error_log stderr crit')),
    'to a file': conf(text => text.replace('error_log stderr notice', 'error_log /dev/null notice')),
    'the log is empty': edit => edit.text(`api/log-nginx-proxy-${edit.node}.txt`, () => ''),
  },
})

invariant('lb-http-section', {
  title: 'The health check server answers /healthz and /stub_status, and tells no version',
  on: workers,
  severity: 'minor',
  because: "The kubelet's probes ask it.",
  source: [seed('nginx.conf'), template],
  fix: remedy.renderLoadBalancer,
  unless: ({ want }) =>
    want.loadbalancer_apiserver_healthcheck_port === undefined
      ? 'loadbalancer_apiserver_healthcheck_port is not set'
      : undefined,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const http = node.nginxConf.block('http')
    const server = http.block('server')
    check.equal('listen', server.value('listen'), String(want.loadbalancer_apiserver_healthcheck_port))
    check.equal('return of /healthz', server.block('location', '/healthz').value('return'), '200')
    check.equal('stub_status of /stub_status', server.block('location', '/stub_status').value('stub_status'), 'on')
    check.equal('keepalive_timeout', http.value('keepalive_timeout'), want.loadbalancer_apiserver_keepalive_timeout)
    check.equal('keepalive_requests', http.value('keepalive_requests'), String(want.keepalive_requests))
    check.equal('server_tokens', http.value('server_tokens'), 'off')
  },
  refutedBy: {
    'another port': conf(text => text.replace('listen 8081', 'listen 8082')),
    'another answer': conf(text => text.replace('return 200', 'return 503')),
    'no stub_status': conf(text => text.replace('stub_status on;', '')),
    'the version is told': conf(text => text.replace('server_tokens off', 'server_tokens on')),
    'another keepalive_timeout': conf(text => text.replace('keepalive_timeout 5m', 'keepalive_timeout 5s')),
    'another keepalive_requests': conf(text => text.replace('keepalive_requests 100', 'keepalive_requests 9')),
  },
})

invariant('lb-healthz-quiet', {
  title: 'Health checks leave no line in the log',
  on: workers,
  severity: 'minor',
  because: 'Probes every ten seconds would bury what matters.',
  source: [seed('nginx.conf'), template],
  fix: remedy.renderLoadBalancer,
  unless: ({ want }) =>
    want.loadbalancer_apiserver_healthcheck_port === undefined
      ? 'loadbalancer_apiserver_healthcheck_port is not set'
      : undefined,
  dependsOn: topology,
  judge: ({ node, check }) => {
    const server = node.nginxConf.block('http').block('server')
    for (const path of ['/healthz', '/stub_status'])
      check.equal(`access_log of ${path}`, server.block('location', path).value('access_log'), 'off')
  },
  refutedBy: {
    '/healthz is logged': conf(text => text.replace(/(location \/healthz \{\s*)access_log off;/, '$1')),
    '/stub_status is logged': conf(text => text.replace(/(stub_status on;\s*)access_log off;/, '$1')),
  },
})

invariant('lb-conf-perms', {
  title: 'nginx.conf belongs to root, in a folder that only root enters',
  on: workers,
  severity: 'minor',
  because: "Whoever writes it decides where the node's API calls go.",
  source: [kubespray('roles/kubernetes/node/tasks/loadbalancer/nginx-proxy.yml'), seed('nginx.conf task')],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const folder = node.nginxFiles?.get(want.nginx_config_dir)
    const file = node.nginxFiles?.get(`${want.nginx_config_dir}/nginx.conf`)
    check.equal(`permissions of ${want.nginx_config_dir}`, folder?.permissions, 'drwx------')
    check.equal('permissions of nginx.conf', file?.permissions, '-rwxr-xr-x')
    check.equal('owner of nginx.conf', file?.owner, 'root')
  },
  refutedBy: {
    'an open folder': edit => edit.output('nginx-dir-listing', text => text.replace(/^drwx------/, 'drwxrwxrwx')),
    'another owner': edit =>
      edit.output('nginx-dir-listing', text => text.replace(/^(-\S+) root( .*\/nginx\.conf)$/m, '$1 nginx$2')),
  },
})

invariant('lb-no-leftover-backups', {
  title: 'Old versions of nginx.conf do not pile up',
  on: workers,
  severity: 'minor',
  because: 'backup: true leaves one for every change.',
  source: [kubespray('roles/kubernetes/node/tasks/loadbalancer/nginx-proxy.yml (backup: true)')],
  fix: 'Remove /etc/nginx/nginx.conf.*~ that nobody needs.',
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const names = node.nginxFiles?.names(want.nginx_config_dir) ?? []
    check.includes(`in ${want.nginx_config_dir}`, names, ['nginx.conf'])
    check.atMost('old versions', names.filter(name => name.endsWith('~')).length, 10)
  },
  refutedBy: {
    'twelve of them': edit =>
      edit.output(
        'nginx-dir-listing',
        text =>
          text +
          Array.from(
            { length: 12 },
            (_, n) => `-rwxr-xr-x root root 848 1795388025.0 /etc/nginx/nginx.conf.${n}~\n`,
          ).join(''),
      ),
  },
})

invariant('lb-conf-checksum', {
  title: 'The pod was made for the nginx.conf that lies on disk',
  on: workers,
  severity: 'blocker',
  because:
    'nginx does not re-read it: a changed file with an old checksum is a balancer that still runs with the old upstreams.',
  source: [
    kubespray('roles/kubernetes/node/templates/manifests/nginx-proxy.manifest.j2'),
    kubespray('docs/operations/nodes.md'),
    issue(10404),
  ],
  fix: remedy.renderLoadBalancer,
  judge: ({ cluster, node, want, check }) => {
    const annotation = 'nginx-cfg-checksum'
    const actual = node.nginxConfContentDigest
    const mirror = cluster.api.pods.find(
      ({ metadata }) => metadata.name === `${want.loadbalancer_apiserver_pod_name}-${cluster.nodeName(node.name)}`,
    )
    check.equal('SHA-1 in the manifest', node.nginxManifest.metadata.annotations[annotation], actual)
    check.equal('SHA-1 of the running pod', mirror?.metadata.annotations[annotation], actual)
    check.equal('SHA-1 as sha1sum printed it', node.nginxConfDigest, actual)
  },
  dependsOn: [...topology, 'lb-pod-running'],
  refutedBy: {
    'the file was changed by hand': edit => edit.file(CONF, text => `${text}# by hand\n`),
    'the pod is of the old file': edit =>
      edit.object('pods', `nginx-proxy-${edit.node}`, pod => {
        pod.metadata.annotations['nginx-cfg-checksum'] = '0'.repeat(40)
      }),
    'the manifest is of the old file': edit =>
      edit.file('…/manifests/nginx-proxy.yml', text =>
        text.replace(/nginx-cfg-checksum: "\w+"/, `nginx-cfg-checksum: "${'0'.repeat(40)}"`),
      ),
  },
})

/** The directives that the release's template writes, one a line: `block/block directive arguments`. */
function rendered(cluster: Cluster, want: Values): string[] {
  const health = want.loadbalancer_apiserver_healthcheck_port
  const stream = 'stream/server'
  const http = [
    ...['aio threads', 'aio_write on', 'tcp_nopush on', 'tcp_nodelay on'],
    ...[
      `keepalive_timeout ${want.loadbalancer_apiserver_keepalive_timeout}`,
      `keepalive_requests ${want.keepalive_requests}`,
    ],
    ...['reset_timedout_connection on', 'server_tokens off', 'autoindex off'],
  ]
  const checks = [
    '/healthz access_log off',
    '/healthz return 200',
    '/stub_status stub_status on',
    '/stub_status access_log off',
  ]
  return [
    'error_log stderr notice',
    `worker_processes ${want.worker_processes}`,
    `worker_rlimit_nofile ${want.worker_rlimit_nofile}`,
    `worker_shutdown_timeout ${want.worker_shutdown_timeout}`,
    ...['multi_accept on', 'use epoll', `worker_connections ${want.worker_connections}`].map(line => `events ${line}`),
    ...['least_conn', ...cluster.apiServerAddresses.map(address => `server ${address}`)].map(
      line => `stream/upstream kube_apiserver ${line}`,
    ),
    `${stream} listen 127.0.0.1:${want.loadbalancer_apiserver_port}`,
    ...(want.ipv6_stack ? [`${stream} listen [::1]:${want.loadbalancer_apiserver_port}`] : []),
    ...[
      'proxy_pass kube_apiserver',
      `proxy_timeout ${want.proxy_timeout}`,
      `proxy_connect_timeout ${want.proxy_connect_timeout}`,
    ].map(line => `${stream} ${line}`),
    ...http.map(line => `http ${line}`),
    ...(health === undefined
      ? []
      : [`http/server listen ${health}`, ...checks.map(line => `http/server/location ${line}`)]),
  ]
}

/** The directives of a configuration in the same form. */
function flat(block: NginxBlock, path: string): string[] {
  return block.directives.flatMap(({ name, args, block: below }) =>
    below === undefined
      ? [[path, name, ...args].filter(part => part !== '').join(' ')]
      : flat(
          new NginxBlock(below),
          [path.split(' ')[0], name].filter(part => part !== '').join('/') +
            (args.length > 0 ? ` ${args.join(' ')}` : ''),
        ),
  )
}

invariant('lb-directives-exact', {
  title: "nginx.conf holds every directive of the release's template, and no other",
  on: workers,
  severity: 'normal',
  because:
    'A directive that somebody added or took out by hand is gone, or back, with the next run: the balancer behaves as nobody described.',
  source: [seed('nginx.conf and its template'), template],
  fix: remedy.renderLoadBalancer,
  dependsOn: [
    ...topology,
    ...[
      'lb-upstreams-exact',
      'lb-least-conn',
      'lb-proxy-pass',
      'lb-listen-local',
      'lb-timeouts',
      'lb-passive-defaults',
    ],
    ...['lb-workers', 'lb-error-log', 'lb-http-section', 'lb-healthz-quiet', 'cri-rlimit-vs-nginx'],
  ],
  judge: ({ cluster, node, want, check }) => {
    const found = flat(node.nginxConf, '')
    const expected = rendered(cluster, want)
    check.none(
      'directives that the template does not write',
      found.filter(line => !expected.includes(line)),
    )
    check.none(
      'directives of the template that are missing',
      expected.filter(line => !found.includes(line)),
    )
    check.equal('number of directives', found.length, expected.length)
  },
  refutedBy: {
    'a directive more': conf(text => text.replace('tcp_nodelay on;', 'tcp_nodelay on;\n  sendfile on;')),
    'a directive less': conf(text => text.replace('reset_timedout_connection on;', '')),
    'another value': conf(text => text.replace('autoindex off', 'autoindex on')),
    'one twice': conf(text => text.replace('tcp_nopush on;', 'tcp_nopush on;\n  tcp_nopush on;')),
  },
})
