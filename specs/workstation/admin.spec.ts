import { kubernetesVersion } from '../../helpers/expectations/expectations.ts'
import { controller, plane } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('workstation')
const CONFIG = 'controller/kubeconfig.yaml'
const TABLE = 'controller/kubectl-get-nodes-wide-v6.txt'

invariant('adm-kubeconfig-server', {
  title: "The administrator's kubeconfig points at a live control plane, by an address that its certificate names",
  on: controller,
  severity: 'blocker',
  because: 'Copied unchanged it says 127.0.0.1, where no API server listens on that machine.',
  source: [seed('kubeconfig for admin-lb')],
  fix: remedy.adminKubeconfig,
  judge: ({ cluster, want, check }) => {
    const { server } = cluster.controller.kubeconfig
    const host = /^https:\/\/\[?([^\]/]+?)\]?(?::(\d+))?$/.exec(server)
    check.none(
      'a server on loopback',
      [server].filter(url => /\/\/(127\.|localhost|\[?::1)/.test(url)),
    )
    check.includes(
      'API servers',
      cluster.apiServerAddresses.map(address => `https://${address}`),
      [server],
    )
    check.includes(
      "names in the API server's certificate",
      cluster.firstControlPlane.certificate(`${want.kube_cert_dir}/apiserver.crt`).subjectAltNames,
      [host?.[1] ?? server],
    )
  },
  dependsOn: ['cert-apiserver-sans'],
  refutedBy: {
    loopback: {
      edit: edit => edit.text(CONFIG, text => text.replace(/server: .*/, 'server: https://127.0.0.1:6443')),
      also: ['adm-kubectl'],
    },
    'a host that is gone': {
      edit: edit => edit.text(CONFIG, text => text.replace(/server: .*/, 'server: https://192.0.2.9:6443')),
      also: ['adm-kubectl'],
    },
  },
})

invariant('adm-kubeconfig-current', {
  title: "The administrator's kubeconfig has the cluster's CA and a control plane's current certificate",
  on: controller,
  severity: 'critical',
  because: 'It is a copy that no renewal reaches: after a year kubectl is refused.',
  source: [seed('kubeconfig for admin-lb'), issue(9182)],
  fix: remedy.adminKubeconfig,
  correction: "The file's mode on that machine is not among the evidence.",
  judge: ({ cluster, check }) => {
    const { ca, clientCertificate } = cluster.controller.kubeconfig
    check.equal('fingerprint of its CA', ca?.fingerprint, cluster.firstControlPlane.caCertificate.fingerprint)
    const serials = cluster.controlPlanes.map(node => node.kubeconfig('admin.conf').clientCertificate?.serial ?? '')
    check.includes("serials in the control planes' admin.conf", serials, [clientCertificate?.serial ?? 'none'])
    check.that(
      'client certificate expires',
      (clientCertificate?.notAfter ?? 0) - cluster.recordedAt > 30 * 24 * 3600 * 1000,
      new Date(clientCertificate?.notAfter ?? 0).toISOString(),
      'more than 30 days after the recording',
    )
  },
  dependsOn: ['cert-ca-same'],
  refutedBy: {
    'an old certificate': edit =>
      edit.text(CONFIG, text =>
        text.replace(
          /client-certificate-data: .*/,
          `client-certificate-data: ${Buffer.from(edit.content('/etc/kubernetes/ssl/front-proxy-client.crt')).toString('base64')}`,
        ),
      ),
    'another CA': edit =>
      edit.text(CONFIG, text =>
        text.replace(
          /certificate-authority-data: .*/,
          `certificate-authority-data: ${Buffer.from(edit.content('/etc/ssl/etcd/ssl/ca.pem')).toString('base64')}`,
        ),
      ),
  },
})

invariant('adm-kubectl', {
  title: "kubectl works from the administrator's machine and lists every node",
  on: controller,
  severity: 'blocker',
  because: 'It is how the cluster is run.',
  source: [seed('kubectl get node -owide -v=6')],
  fix: remedy.adminKubeconfig,
  judge: ({ cluster, check }) => {
    const { server } = cluster.controller.kubeconfig
    const { requests } = cluster.controller.nodeTrace
    check.atLeast('requests', requests.length, 1)
    check.none(
      'requests that were not answered with 200, or went elsewhere',
      requests
        .filter(({ url, status }) => status !== 200 || !url.startsWith(`${server}/`))
        .map(({ url, status }) => `${status} ${url}`),
    )
    const rows = cluster.controller.nodeTable
    check.sameSet(
      'nodes that kubectl lists',
      rows.map(row => row['NAME'] ?? ''),
      cluster.expectations.nodes.map(host => cluster.nodeName(host)),
    )
    check.none(
      'nodes that are not Ready',
      rows.filter(row => row['STATUS'] !== 'Ready').map(row => `${row['NAME'] ?? ''} ${row['STATUS'] ?? ''}`),
    )
  },
  dependsOn: ['adm-kubeconfig-server'],
  refutedBy: {
    'it is refused': edit => edit.text(TABLE, text => text.replace('status="200 OK"', 'status="401 Unauthorized"')),
    'a node is missing': edit => edit.text(TABLE, text => `${text.trimEnd().split('\n').slice(0, -1).join('\n')}\n`),
    'a node is NotReady': edit => edit.text(TABLE, text => text.replace(/ Ready /, ' NotReady ')),
  },
})

invariant('adm-spof', {
  title: 'The administrator does not depend on one control plane',
  on: controller,
  severity: 'advisory',
  because: 'The documented kubeconfig names one address: while that node is down kubectl there does not work.',
  source: [seed('kubeconfig for admin-lb: "if that node fails"')],
  fix: 'Accept it, keep a kubeconfig for each control plane, or put a load balancer in front (Case 2).',
  judge: ({ cluster, check }) => {
    const { server } = cluster.controller.kubeconfig
    const single = cluster.apiServerAddresses.map(address => `https://${address}`).includes(server)
    check.that('server', !single, `${server}, one of the control planes`, 'a load balancer or a name for all of them')
  },
  suppliedBy: edit => edit.text(CONFIG, text => text.replace(/server: .*/, 'server: https://api.example.org:6443')),
  refutedBy: {
    'one control plane': edit =>
      edit.text(CONFIG, text =>
        text.replace(/server: .*/, `server: https://${edit.controlPlanes[0]?.address ?? ''}:6443`),
      ),
  },
})

invariant('adm-all-apis', {
  title: "From the administrator's machine every API server answers, by address and by name",
  on: controller,
  severity: 'critical',
  because: 'When one is down the administrator needs the next.',
  source: [seed('API server access')],
  fix: remedy.adminKubeconfig,
  judge: ({ cluster, want, check }) => {
    const version = `v${kubernetesVersion(want)}`
    for (const host of cluster.expectations.controlPlanes) {
      for (const name of [cluster.mainAccessIp(host), host])
        check.equal(`/version of ${name}`, cluster.controller.apiVersion(name).gitVersion, version)
      for (const name of [cluster.mainAccessIp(host), host]) {
        for (const question of ['livez', 'readyz'] as const)
          check.equal(`/${question} of ${name}`, cluster.controller.apiHealth(question, name), true)
      }
    }
  },
  suppliedBy: edit => {
    for (const { name, address } of edit.controlPlanes) {
      for (const way of [name, address])
        edit.addText(`controller/version-${way}.json`, edit.recordedText('api/version.json'))
      for (const way of [name, address]) {
        for (const question of ['livez', 'readyz']) edit.addText(`controller/${question}-${way}.txt`, 'ok')
      }
    }
  },
  refutedBy: {
    'one is not ready': edit =>
      edit.text(`controller/readyz-${edit.node}.txt`, () => '[-]etcd failed: reason withheld\nreadyz check failed\n'),
    'another version by name': edit =>
      edit.text(`controller/version-${edit.node}.json`, text =>
        text.replace(/"gitVersion": ".*"/, '"gitVersion": "v1.20.0"'),
      ),
  },
})

invariant('adm-hosts', {
  title: "The administrator's machine knows every host by name",
  on: controller,
  severity: 'normal',
  because: 'ssh k8s-node1 and the documented commands go by name.',
  source: [seed('/etc/hosts')],
  fix: 'Add the hosts of the inventory to /etc/hosts.',
  correction:
    'The seed expects a host that is not in the inventory (k8s-node5): only hosts of the inventory are asked for.',
  judge: ({ cluster, check }) => {
    const { entries } = cluster.controller.hosts
    for (const host of cluster.expectations.nodes) {
      check.equal(
        `address of ${host}`,
        entries.find(({ names }) => names.includes(host))?.address,
        cluster.mainAccessIp(host),
      )
    }
  },
  suppliedBy: edit =>
    edit.addText(
      'controller/hosts',
      `127.0.0.1 localhost\n${edit.hosts.map(({ name, address }) => `${address} ${name}`).join('\n')}\n`,
    ),
  refutedBy: {
    'a host is missing': edit =>
      edit.text('controller/hosts', text => `${text.trimEnd().split('\n').slice(0, -1).join('\n')}\n`),
    'another address': edit => edit.text('controller/hosts', text => text.replace(/\n\S+ /, '\n192.0.2.9 ')),
  },
})

invariant('adm-artifacts', {
  title: 'The kubeconfig that Kubespray left on the controller points at the first control plane',
  on: controller,
  severity: 'normal',
  because: "It is an administrator's key in a folder of the checkout.",
  source: [kubespray('roles/kubernetes/client/tasks/main.yml (kubeconfig_localhost)')],
  fix: remedy.adminKubeconfig,
  unless: ({ want }) => (want.kubeconfig_localhost ? undefined : 'kubeconfig_localhost is false: there is none'),
  judge: ({ cluster, want, check }) =>
    check.equal(
      'server',
      cluster.controller.artifactKubeconfig.server,
      `https://${cluster.mainAccessIp(cluster.firstControlPlane.name)}:${want.kube_apiserver_port}`,
    ),
  suppliedBy: edit => {
    edit.vars({ kubeconfig_localhost: true })
    edit.addText('controller/artifacts-admin.conf', edit.recordedText(CONFIG))
  },
  refutedBy: {
    'another server': edit =>
      edit.text('controller/artifacts-admin.conf', text =>
        text.replace(/server: .*/, 'server: https://192.0.2.9:6443'),
      ),
  },
})
