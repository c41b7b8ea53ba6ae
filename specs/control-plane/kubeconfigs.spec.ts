import { allNodes, controlPlanes, plane, workers, topology } from '../../helpers/invariant/invariant.ts'
import type { Cluster } from '../../helpers/evidence/cluster.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('control-plane')

/** An edit that points a kubeconfig elsewhere. */
const pointTo = (path: string, server: string) => (edit: Edit) =>
  edit.file(path, text => text.replace(/server: .*/, `server: ${server}`))

/** Source: roles/kubernetes/control-plane/tasks/kubeadm-fix-apiserver.yml, gone in v2.31. */
function ownEndpoint(cluster: Cluster, host: string): string {
  const port = cluster.want(host).kube_apiserver_port
  return cluster.release.controlPlaneKubeconfigsLocal
    ? `https://127.0.0.1:${port}`
    : `https://${cluster.mainIp(host)}:${port}`
}

const kubeconfigs = {
  'kc-controller-manager': {
    file: 'controller-manager.conf',
    user: 'system:kube-controller-manager',
    who: 'The controller manager',
    severity: 'blocker',
  },
  'kc-scheduler': { file: 'scheduler.conf', user: 'system:kube-scheduler', who: 'The scheduler', severity: 'blocker' },
} as const

for (const [id, { file, user, who, severity }] of Object.entries(kubeconfigs)) {
  invariant(id, {
    title: `${who} calls its own API server`,
    on: controlPlanes,
    severity,
    because:
      'Pointed at another control plane, it stops with that one: the high availability is gone though all three run.',
    source: [
      seed('component endpoints'),
      kubespray('roles/kubernetes/control-plane/tasks/kubeadm-fix-apiserver.yml'),
      issue(5816, 5150),
    ],
    fix: remedy.controlPlane,
    dependsOn: topology,
    judge: ({ cluster, node, check }) => {
      const config = node.kubeconfig(file)
      check.equal(`server in ${file}`, config.server, ownEndpoint(cluster, node.name))
      check.equal(`user in ${file}`, config.user, user)
    },
    refutedBy: {
      'another control plane': pointTo(`/etc/kubernetes/${file}`, 'https://192.0.2.11:6443'),
      'another user': edit => edit.file(`/etc/kubernetes/${file}`, text => text.replaceAll(user, 'kubernetes-admin')),
    },
  })
}

invariant('kc-admin', {
  title: "admin.conf points at the node's own API server",
  on: controlPlanes,
  severity: 'critical',
  because: 'It is what an administrator on the node reaches for when the others are down.',
  source: [
    seed('component endpoints'),
    kubespray('roles/kubernetes/control-plane/tasks/kubeadm-fix-apiserver.yml'),
    issue(13533),
  ],
  fix: remedy.controlPlane,
  correction: 'In v2.31.0 it points at the first control plane.',
  dependsOn: topology,
  judge: ({ cluster, node, want, check }) => {
    const first = `https://${cluster.mainAccessIp(cluster.firstControlPlane.name)}:${want.kube_apiserver_port}`
    check.equal(
      'server in admin.conf',
      node.kubeconfig('admin.conf').server,
      cluster.release.controlPlaneKubeconfigsLocal ? ownEndpoint(cluster, node.name) : first,
    )
  },
  refutedBy: {
    'another control plane': {
      edit: pointTo('/etc/kubernetes/admin.conf', 'https://192.0.2.11:6443'),
      also: ['kc-root-kubeconfig'],
    },
  },
})

invariant('kc-kubelet-cp', {
  title: 'The kubelet of a control plane calls its own API server, with a certificate that rotates',
  on: controlPlanes,
  severity: 'blocker',
  because: 'A certificate within the file is never renewed: after a year the node is gone.',
  source: [
    seed('component endpoints'),
    kubespray('roles/kubernetes/control-plane/tasks/kubelet-fix-client-cert-rotation.yml'),
    issue(5555),
  ],
  fix: remedy.kubelet,
  dependsOn: topology,
  judge: ({ cluster, node, check }) => {
    const config = node.kubeconfig('kubelet.conf')
    check.equal('server in kubelet.conf', config.server, ownEndpoint(cluster, node.name))
    check.equal('client-certificate', config.clientCertificateFile, '/var/lib/kubelet/pki/kubelet-client-current.pem')
    check.equal('client-key', config.clientKeyFile, '/var/lib/kubelet/pki/kubelet-client-current.pem')
    check.equal('credentials within the file', config.hasInlineCredentials, false)
  },
  refutedBy: {
    'another control plane': pointTo('/etc/kubernetes/kubelet.conf', 'https://192.0.2.11:6443'),
    'a fixed certificate': {
      edit: edit =>
        edit.file('/etc/kubernetes/kubelet.conf', text =>
          text.replace(/client-certificate: .*/, 'client-certificate: /etc/kubernetes/ssl/kubelet.crt'),
        ),
      also: ['kl-cert-rotation'],
    },
  },
})

invariant('kc-super-admin', {
  title: 'super-admin.conf is on the first control plane only, closed to others',
  on: controlPlanes,
  severity: 'normal',
  because: 'Its user bypasses RBAC: a copy is a key to everything that no role can take back.',
  source: [seed('super-admin.conf'), 'kubeadm 1.29'],
  fix: 'Remove copies; keep the one on the first control plane 0600.',
  correction: "Its server is the node's address: it is not rewritten to 127.0.0.1.",
  judge: ({ cluster, node, want, check }) => {
    const path = `${want.kube_config_dir}/super-admin.conf`
    const first = node.name === cluster.firstControlPlane.name
    check.equal(`${path} is there`, node.etcKubernetes.has(path), first)
    if (!first) return
    check.equal(
      'server in super-admin.conf',
      node.kubeconfig('super-admin.conf').server,
      `https://${cluster.mainIp(node.name)}:${want.kube_apiserver_port}`,
    )
    check.equal('permissions', node.etcKubernetes.get(path)?.permissions, '-rw-------')
  },
  refutedBy: {
    'missing on the first, or there on another': edit =>
      edit.output('etc-kubernetes-listing', text =>
        text.includes('super-admin.conf')
          ? text.replace(/^.*\/super-admin\.conf -> \n/m, '')
          : `${text}-rw------- root root 5689 1795388053.0 /etc/kubernetes/super-admin.conf -> \n`,
      ),
  },
})

invariant('kc-root-kubeconfig', {
  title: "root's kubeconfig is the administrator's, and kubectl reaches the node's own API server with it",
  on: controlPlanes,
  severity: 'critical',
  because: 'It is a copy: when admin.conf was renewed and it was not, kubectl stops after a year.',
  source: [seed('kubectl cluster-info'), kubespray('roles/kubernetes/client/tasks/main.yml'), issue(9182)],
  fix: 'Copy /etc/kubernetes/admin.conf to /root/.kube/config, mode 0600.',
  judge: ({ cluster, node, want, check }) => {
    const config = node.rootKubeconfig
    const admin = node.kubeconfig('admin.conf')
    check.equal('server', config.server, admin.server)
    check.equal('serial of the client certificate', config.clientCertificate?.serial, admin.clientCertificate?.serial)
    check.equal('mode of /root/.kube/config', node.fileStatus('/root/.kube/config').mode, '0600')
    const local = cluster.release.controlPlaneKubeconfigsLocal
      ? `https://127.0.0.1:${want.kube_apiserver_port}`
      : admin.server
    check.equal('kubectl cluster-info', node.clusterInfo.url, local)
    const { loadedFrom, requests } = node.clusterInfoTrace
    check.equal('kubeconfig that kubectl loaded', loadedFrom, '/root/.kube/config')
    check.none(
      'requests that were not answered with 200',
      requests
        .filter(({ status, url }) => status !== 200 || !url.startsWith(local))
        .map(({ url, status }) => `${status} ${url}`),
    )
    check.atLeast('requests', requests.length, 1)
  },
  dependsOn: [...topology, 'kc-admin'],
  refutedBy: {
    'another server': pointTo('/root/.kube/config', 'https://192.0.2.11:6443'),
    'readable for all': edit => edit.status('/root/.kube/config', { mode: '0644' }),
    'kubectl finds another': edit =>
      edit.output('kubectl-cluster-info', text => text.replace('127.0.0.1', '192.0.2.1')),
    'kubectl is refused': edit =>
      edit.errors('kubectl-cluster-info', text => text.replace('status="200 OK"', 'status="403 Forbidden"')),
    'another certificate': edit =>
      edit.file('/root/.kube/config', text =>
        text.replace(
          /client-certificate-data: .*/,
          `client-certificate-data: ${Buffer.from(edit.content('/etc/kubernetes/ssl/apiserver-kubelet-client.crt')).toString('base64')}`,
        ),
      ),
  },
})

invariant('kc-no-root-kubeconfig-on-worker', {
  title: 'root of a worker has no kubeconfig',
  on: workers,
  severity: 'critical',
  because: "It would be an administrator's, on the machine that runs everybody's pods.",
  source: [seed('copying the kubeconfig')],
  fix: 'Remove /root/.kube/config from HOST.',
  judge: ({ node, check }) => check.equal('/root/.kube/config is there', node.hasRootKubeconfig, false),
  refutedBy: {
    'it is there': edit =>
      edit.status('/root/.kube/config', {
        absent: undefined,
        mode: '0600',
        owner: 'root',
        group: 'root',
        mtime: 1795388097,
      }),
  },
})

invariant('kc-perms', {
  title: 'Kubeconfigs and keys are closed to others',
  on: allNodes,
  severity: 'critical',
  because: 'Whoever reads one is its user.',
  source: ['kubeadm'],
  fix: 'chmod 0600 the file, and renew it: it may have been read.',
  correction: 'kubeadm-client.conf on workers is 0640 and no kubeconfig: names are listed, not matched by *.conf.',
  judge: ({ node, want, check }) => {
    const secret = ['admin.conf', 'controller-manager.conf', 'scheduler.conf', 'kubelet.conf', 'super-admin.conf']
    const isSecret = (path: string) =>
      secret.some(name => path === `${want.kube_config_dir}/${name}`) ||
      (path.startsWith(`${want.kube_cert_dir}/`) && path.endsWith('.key'))
    const entries = node.etcKubernetes.entries.filter(({ path }) => isSecret(path))
    check.atLeast('kubeconfigs and keys', entries.length, 1)
    check.none(
      'open ones',
      entries
        .filter(({ permissions, owner }) => permissions !== '-rw-------' || owner !== 'root')
        .map(({ path, permissions, owner }) => `${path} ${permissions} ${owner}`),
    )
  },
  refutedBy: {
    'kubelet.conf is readable': edit =>
      edit.output('etc-kubernetes-listing', text =>
        text.replace(/^-rw-------( .*\/kubelet\.conf -> )$/m, '-rw-r--r--$1'),
      ),
    'another owner': edit =>
      edit.output('etc-kubernetes-listing', text =>
        text.replace(/^(-rw-------) root( .*\/kubelet\.conf -> )$/m, '$1 kube$2'),
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
