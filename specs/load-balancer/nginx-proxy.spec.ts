import { controlPlanes, plane, workers, topology } from '../../helpers/invariant/invariant.ts'
import type { Cluster } from '../../helpers/evidence/cluster.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('load-balancer')
const manifest = kubespray('roles/kubernetes/node/templates/manifests/nginx-proxy.manifest.j2')
const podOf = (cluster: Cluster, host: string) =>
  cluster.api.pods.find(
    ({ metadata }) =>
      metadata.namespace === 'kube-system' &&
      metadata.name === `${cluster.want(host).loadbalancer_apiserver_pod_name}-${cluster.nodeName(host)}`,
  )

invariant('lb-manifest', {
  title: 'The worker has the static pod manifest of nginx-proxy, and none of haproxy',
  on: workers,
  severity: 'blocker',
  because: 'Without it nobody listens on localhost:6443, and the kubelet has no API.',
  source: [kubespray('roles/kubernetes/node/tasks/loadbalancer/nginx-proxy.yml'), seed('nginx static pod')],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const path = `${want.kube_manifest_dir}/${want.loadbalancer_apiserver_pod_name}.yml`
    const entry = node.etcKubernetes.get(path)
    check.sameSet(`in ${want.kube_manifest_dir}`, node.etcKubernetes.names(want.kube_manifest_dir), [
      `${want.loadbalancer_apiserver_pod_name}.yml`,
    ])
    check.equal('permissions', entry?.permissions, '-rw-r-----')
    check.equal('owner', entry?.owner, 'root')
  },
  refutedBy: {
    'it is missing': edit =>
      edit.output('etc-kubernetes-listing', text => text.replace(/^.*\/nginx-proxy\.yml.*\n/m, '')),
    'haproxy beside it': edit =>
      edit.output('etc-kubernetes-listing', text => text.replace(/^(.*)nginx-proxy\.yml(.*)$/m, '$&\n$1haproxy.yml$2')),
    'writable for others': edit =>
      edit.output('etc-kubernetes-listing', text => text.replace(/^-\S+( .*\/nginx-proxy\.yml)/m, '-rw-rw-rw-$1')),
  },
})

invariant('lb-not-on-cp', {
  title: 'A control plane runs no balancer',
  on: controlPlanes,
  severity: 'blocker',
  because: 'Left from its time as a worker, it holds port 6443 and the API server does not start.',
  source: [kubespray('roles/kubernetes/node/tasks/main.yml'), issue(12257)],
  fix: remedy.leftover,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const names = node.etcKubernetes.names(want.kube_manifest_dir)
    check.none(
      'manifests of a balancer',
      names.filter(name => [`${want.loadbalancer_apiserver_pod_name}.yml`, 'haproxy.yml'].includes(name)),
    )
    check.that(want.nginx_config_dir, node.nginxFiles === undefined, 'is there', 'absent')
    check.none(
      'nginx processes',
      node.nginxProcesses.map(({ pid }) => pid),
    )
    const ports = [want.kube_apiserver_port, want.loadbalancer_apiserver_healthcheck_port]
    check.none(
      'sockets of a balancer',
      node.listening
        .filter(
          ({ localPort, processes }) =>
            ports.includes(localPort) && processes.some(({ name }) => name === 'nginx' || name === 'haproxy'),
        )
        .map(({ localPort }) => localPort),
    )
    check.equal('curl to the health check port (7: refused)', node.balancerHealthExit, 7)
  },
  refutedBy: {
    'nginx runs': edit =>
      edit.output(
        'nginx-processes',
        () =>
          '== 9 nginx: master process nginx\nMax open files            65535                65535                files     \n',
      ),
    'its folder is there': edit => {
      edit.output('nginx-dir-listing', () => 'drwx------ root root 4096 1795388390.3 /etc/nginx\n', 0)
    },
    'something answers on its port': edit =>
      edit.output('curl-lb-healthz', () => 'HTTP/1.1 200 OK\nServer: nginx\n', 0),
  },
})

invariant('lb-pod-spec', {
  title: "nginx-proxy runs in the host's network, unprivileged, before all other pods",
  on: workers,
  severity: 'normal',
  because: 'In another network it does not serve the host; with a lower priority it is evicted first.',
  source: [manifest],
  fix: remedy.renderLoadBalancer,
  judge: ({ cluster, node, want, check }) => {
    for (const [where, pod] of [
      ['manifest', node.nginxManifest] as const,
      ['running pod', podOf(cluster, node.name)] as const,
    ]) {
      const container = pod?.spec.containers[0]
      check.equal(`hostNetwork in the ${where}`, pod?.spec.hostNetwork, true)
      check.equal(`dnsPolicy in the ${where}`, pod?.spec.dnsPolicy, 'ClusterFirstWithHostNet')
      check.equal(`priorityClassName in the ${where}`, pod?.spec.priorityClassName, 'system-node-critical')
      check.equal(`label k8s-app in the ${where}`, pod?.metadata.labels['k8s-app'], 'kube-nginx')
      check.equal(`privileged in the ${where}`, container?.securityContext.privileged, false)
      check.equal(`requests in the ${where}`, container?.resources.requests, {
        cpu: want.loadbalancer_apiserver_cpu_requests,
        memory: want.loadbalancer_apiserver_memory_requests,
      })
      check.equal(`limits in the ${where}`, container?.resources.limits, {})
      const mount = container?.volumeMounts.find(({ mountPath }) => mountPath === '/etc/nginx')
      const volume = pod?.spec.volumes.find(({ name }) => name === mount?.name)
      check.equal(`host folder of /etc/nginx in the ${where}`, volume?.hostPath?.path, want.nginx_config_dir)
      check.equal(`/etc/nginx is read-only in the ${where}`, mount?.readOnly, true)
    }
  },
  dependsOn: [...topology, 'lb-pod-running'],
  refutedBy: {
    "not in the host's network": edit =>
      edit.file('…/manifests/nginx-proxy.yml', text => text.replace('hostNetwork: true', 'hostNetwork: false')),
    privileged: edit =>
      edit.object('pods', `nginx-proxy-${edit.node}`, pod => {
        pod.spec.containers[0].securityContext = { privileged: true }
      }),
    'another priority': edit =>
      edit.file('…/manifests/nginx-proxy.yml', text => text.replace('system-node-critical', 'low')),
    writable: edit =>
      edit.file('…/manifests/nginx-proxy.yml', text => text.replace('readOnly: true', 'readOnly: false')),
    'a limit': edit =>
      edit.object('pods', `nginx-proxy-${edit.node}`, pod => {
        pod.spec.containers[0].resources.limits = { memory: '16M' }
      }),
  },
})

invariant('lb-pod-running', {
  title: "nginx-proxy runs and is ready, by the API's account and containerd's",
  on: workers,
  severity: 'blocker',
  because: "It is the worker's only way to the API.",
  source: [seed('nginx static pod'), issue(8416, 11425)],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ cluster, node, want, check }) => {
    const pod = podOf(cluster, node.name)
    check.equal('phase', pod?.status.phase, 'Running')
    check.equal('node', pod?.spec.nodeName, cluster.nodeName(node.name))
    check.that('containers', pod?.status.containerStatuses.every(({ ready }) => ready) === true, 'not ready', 'ready')
    check.equal("owner (a static pod's is its Node)", pod?.metadata.ownerReferences[0]?.kind, 'Node')
    const running = node.containers.filter(
      ({ metadata, state }) => metadata.name === want.loadbalancer_apiserver_pod_name && state === 'CONTAINER_RUNNING',
    )
    check.equal('running containers in containerd', running.length, 1)
  },
  refutedBy: {
    'no pod': {
      edit: edit => edit.api('pods', items => items.filter(item => item.metadata.name !== `nginx-proxy-${edit.node}`)),
      also: ['addon-pods-expected'],
    },
    'not ready': {
      edit: edit =>
        edit.object('pods', `nginx-proxy-${edit.node}`, pod => {
          pod.status.containerStatuses[0].ready = false
        }),
      also: ['addon-pods-expected'],
    },
    'the container exited': edit =>
      edit.json('crictl-ps', list => {
        list.containers.find((one: { metadata: { name: string } }) => one.metadata.name === 'nginx-proxy').state =
          'CONTAINER_EXITED'
      }),
  },
})

invariant('lb-pod-restarts', {
  title: 'nginx-proxy has not restarted',
  on: workers,
  severity: 'critical',
  because:
    'Each restart cuts all API connections of the node; a newer nginx in a container with a low file limit restarts for ever.',
  source: [issue(13253), seed('pods: restarts 0')],
  fix: remedy.raiseRlimit,
  correction: 'Growth needs two recordings; one allows two restarts.',
  judge: ({ cluster, node, check }) => {
    const restarts = podOf(cluster, node.name)?.status.containerStatuses.map(({ restartCount }) => restartCount) ?? []
    check.atLeast('containers', restarts.length, 1)
    check.atMost('restarts', Math.max(0, ...restarts), 2)
  },
  dependsOn: [...topology, 'lb-pod-running'],
  refutedBy: {
    'nine restarts': edit =>
      edit.object('pods', `nginx-proxy-${edit.node}`, pod => {
        pod.status.containerStatuses[0].restartCount = 9
      }),
  },
})

invariant('lb-image', {
  title: 'nginx-proxy runs the image of the inventory',
  on: workers,
  severity: 'normal',
  because: 'Another image may have another nginx, with other defaults.',
  source: [kubespray('roles/kubespray_defaults/defaults/main/download.yml')],
  fix: remedy.renderLoadBalancer,
  correction: 'The image is nginx_image_repo and nginx_image_tag, not a literal; the log alone tells the real version.',
  judge: ({ cluster, node, want, check }) => {
    const image = `${want.nginx_image_repo}:${want.nginx_image_tag}`
    check.equal('image in the manifest', node.nginxManifest.spec.containers[0]?.image, image)
    check.equal('image of the running pod', podOf(cluster, node.name)?.spec.containers[0]?.image, image)
  },
  dependsOn: [...topology, 'lb-pod-running'],
  refutedBy: {
    'another image in the manifest': edit =>
      edit.file('…/manifests/nginx-proxy.yml', text =>
        text.replace(/image: .*/, 'image: docker.io/library/nginx:latest'),
      ),
    'another image runs': edit =>
      edit.object('pods', `nginx-proxy-${edit.node}`, pod => {
        pod.spec.containers[0].image = 'docker.io/library/nginx:latest'
      }),
  },
})

invariant('lb-probes', {
  title: 'The kubelet probes the balancer exactly where the health check port is set',
  on: workers,
  severity: 'normal',
  because: 'A hung nginx is restarted by its liveness probe, and by nothing else.',
  source: [manifest],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const container = node.nginxManifest.spec.containers[0]
    const port = want.loadbalancer_apiserver_healthcheck_port
    const expected = port === undefined ? undefined : `/healthz:${port}`
    for (const kind of ['livenessProbe', 'readinessProbe'] as const) {
      const get = container?.[kind]?.httpGet
      check.equal(kind, get === undefined ? undefined : `${get.path}:${get.port}`, expected)
    }
  },
  refutedBy: {
    'another port': edit => edit.file('…/manifests/nginx-proxy.yml', text => text.replace('port: 8081', 'port: 8082')),
    'no liveness probe': edit =>
      edit.file('…/manifests/nginx-proxy.yml', text => text.replace(/^ {4}livenessProbe:\n(?: {6}.*\n)+/m, '')),
  },
})

invariant('lb-conf-valid', {
  title: 'nginx accepts its configuration',
  on: workers,
  severity: 'critical',
  because: 'The running process may have read an older one: the next restart then fails.',
  source: ['nginx -t in the container'],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, check }) => check.equal('exit status of nginx -t', node.nginxTest, 0),
  suppliedBy: edit =>
    edit.addCommand('nginx-test', '', 0, 'nginx: configuration file /etc/nginx/nginx.conf test is successful\n'),
  refutedBy: {
    'it is refused': edit => edit.errors('nginx-test', () => 'nginx: [emerg] unknown directive "lest_conn"\n', 1),
  },
})

invariant('lb-conf-loaded', {
  title: 'The balancer was started after its configuration was written',
  on: workers,
  severity: 'critical',
  because: 'Started before, it runs with the old upstreams.',
  source: [kubespray('docs/operations/nodes.md (step 2)')],
  fix: remedy.renderLoadBalancer,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const written = node.fileStatus(`${want.nginx_config_dir}/nginx.conf`).mtime * 1000
    const sandbox = node.sandboxes.find(
      ({ metadata, state }) =>
        metadata.name.startsWith(`${want.loadbalancer_apiserver_pod_name}-`) && state === 'SANDBOX_READY',
    )
    check.that(
      "creation of the pod's sandbox",
      (sandbox?.createdAt ?? 0) >= written,
      sandbox === undefined ? 'no sandbox' : new Date(sandbox.createdAt).toISOString(),
      `after ${new Date(written).toISOString()}, when nginx.conf was written`,
    )
  },
  refutedBy: {
    'the file is newer': edit => edit.status('/etc/nginx/nginx.conf', { mtime: 1999999999 }),
    'no sandbox': edit =>
      edit.json('crictl-pods', list => {
        for (const one of list.items) if (one.metadata.name.startsWith('nginx-proxy')) one.state = 'SANDBOX_NOTREADY'
      }),
  },
})
