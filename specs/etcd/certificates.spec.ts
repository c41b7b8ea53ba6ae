import {
  allNodes,
  controlPlanes,
  etcdMembers,
  plane,
  workers,
  wholeCluster,
} from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy } from '../../helpers/invariant/remedy.ts'

const invariant = plane('etcd')
const YEAR = 365 * 24 * 3600 * 1000

invariant('etcd-cert-files', {
  title: 'The member has its own certificates and keys, in a closed folder',
  on: etcdMembers,
  severity: 'critical',
  because: 'They are full access to every Secret; a missing one is noticed at the next restart.',
  source: [kubespray('roles/etcd/tasks/gen_certs_script.yml')],
  fix: remedy.etcd,
  judge: ({ cluster, node, want, check }) => {
    const dir = want.etcd_cert_dir
    const own = [
      `ca.pem`,
      `ca-key.pem`,
      `admin-${node.name}.pem`,
      `admin-${node.name}-key.pem`,
      `member-${node.name}.pem`,
      `member-${node.name}-key.pem`,
    ]
    const nodes = cluster.expectations.controlPlanes.flatMap(host => [`node-${host}.pem`, `node-${host}-key.pem`])
    check.includes(`in ${dir}`, node.etcdSsl.names(dir), [...own, ...nodes])
    check.equal(`permissions of ${dir}`, node.etcdSsl.get(dir)?.permissions, 'drwx------')
    check.equal(`owner of ${dir}`, node.etcdSsl.get(dir)?.owner, 'etcd')
    const open = node.etcdSsl.entries.filter(
      ({ path, permissions }) => path.endsWith('-key.pem') && !permissions.endsWith('------'),
    )
    check.none(
      'keys that others may read',
      open.map(({ path }) => path),
    )
  },
  refutedBy: {
    "the member's key is missing": edit =>
      edit.output('etcd-ssl-listing', text =>
        text.replace(new RegExp(`^.*member-${edit.node}-key\\.pem.*\\n`, 'm'), ''),
      ),
    'the folder is open': edit =>
      edit.output('etcd-ssl-listing', text =>
        text.replace(/^drwx------( .* \/etc\/ssl\/etcd\/ssl -> )$/m, 'drwxr-xr-x$1'),
      ),
    'a key is readable': edit =>
      edit.output('etcd-ssl-listing', text => text.replace(/^-rwx------(.*ca-key\.pem)/m, '-rwxr--r--$1')),
  },
})

invariant('etcd-cert-ca-same', {
  title: 'All machines trust the same etcd CA, and every certificate is of it',
  on: wholeCluster,
  severity: 'blocker',
  because:
    'A rebuilt first member brings a CA of its own: "certificate signed by unknown authority" at the next handshake.',
  source: [issue(10441, 10560)],
  fix: remedy.etcd,
  judge: ({ cluster, want, check }) => {
    const [first, ...others] = cluster.nodes
    for (const node of others)
      check.equal(`etcd CA of ${node.name}`, node.etcdCa.fingerprint, first?.etcdCa.fingerprint)
    for (const node of cluster.etcdMembers) {
      for (const kind of ['member', 'admin', 'node']) {
        const path = `${want.etcd_cert_dir}/${kind}-${node.name}.pem`
        check.that(path, node.certificate(path).isIssuedBy(node.etcdCa), 'of another CA', 'issued by ca.pem')
      }
    }
  },
  refutedBy: {
    'one node trusts another CA': edit =>
      edit.on(edit.others[0] ?? '').file('/etc/ssl/etcd/ssl/ca.pem', () => edit.content('/etc/kubernetes/ssl/ca.crt')),
    'a certificate of another CA': {
      edit: edit =>
        edit.file(`/etc/ssl/etcd/ssl/admin-${edit.node}.pem`, () => edit.content('/etc/kubernetes/ssl/apiserver.crt')),
      also: ['etcd-cert-validity'],
    },
  },
})

invariant('etcd-cert-sans', {
  title: "The member's certificate names every name and address that members are called by",
  on: etcdMembers,
  severity: 'critical',
  because: 'Clients and peers verify the name that they dial.',
  source: [kubespray('roles/etcd/templates/openssl.conf.j2'), kubespray('etcd_cert_alt_names, etcd_cert_alt_ips')],
  fix: remedy.etcd,
  judge: ({ cluster, node, want, check }) => {
    const { subjectAltNames } = node.certificate(`${want.etcd_cert_dir}/member-${node.name}.pem`)
    const hosts = cluster.expectations.etcdMembers
    check.includes('subject alternative names', subjectAltNames, [
      ...['localhost', '127.0.0.1', '0:0:0:0:0:0:0:1', 'etcd'],
      ...['etcd.kube-system', 'etcd.kube-system.svc', `etcd.kube-system.svc.${want.dns_domain}`],
      ...(cluster.release.loadBalancerNameInCertificates ? [want.apiserver_loadbalancer_domain_name] : []),
      ...hosts,
      ...new Set(hosts.flatMap(host => [cluster.mainIp(host), cluster.mainAccessIp(host)])),
    ])
  },
  refutedBy: {
    'a certificate without them': {
      edit: edit =>
        edit.file(`/etc/ssl/etcd/ssl/member-${edit.node}.pem`, () => edit.content('/etc/ssl/etcd/ssl/ca.pem')),
      also: ['etcd-cert-live-equals-disk'],
    },
  },
})

invariant('etcd-cert-validity', {
  title: "etcd's certificates are valid for another year at least, with keys of the size asked for",
  on: etcdMembers,
  severity: 'critical',
  because: 'No renewal script covers them: when they expire, etcd stops.',
  source: [
    kubespray('roles/etcd/templates/make-ssl-etcd.sh.j2'),
    kubespray('certificates_duration, certificates_key_size'),
  ],
  fix: 'Run cluster.yml with force_etcd_cert_refresh: true, then restart etcd on one member after the other.',
  dependsOn: ['etcd-cert-sans'],
  judge: ({ cluster, node, want, check }) => {
    for (const kind of ['ca', `member-${node.name}`, `admin-${node.name}`, `node-${node.name}`]) {
      const certificate = node.certificate(`${want.etcd_cert_dir}/${kind}.pem`)
      check.that(
        `${kind}.pem expires`,
        certificate.notAfter - cluster.recordedAt > YEAR,
        new Date(certificate.notAfter).toISOString(),
        'more than a year after the recording',
      )
      check.equal(`key of ${kind}.pem in bits`, certificate.rsaBits, want.certificates_key_size)
    }
  },
  refutedBy: {
    'one that expires within the year': {
      edit: edit =>
        edit.file(`/etc/ssl/etcd/ssl/node-${edit.node}.pem`, () => edit.content('/etc/kubernetes/ssl/apiserver.crt')),
      also: ['etcd-cert-ca-same'],
    },
  },
})

invariant('etcd-cert-live-equals-disk', {
  title: 'etcd serves the certificate that lies on its disk',
  on: etcdMembers,
  severity: 'critical',
  because:
    'Every run of cluster.yml issues them again without a restart: what is served should be what will be served.',
  source: [issue(13353, 13354), 'etcd client/pkg/transport/tls (GetCertificate)'],
  fix: 'Restart etcd on one member after the other.',
  correction:
    'The catalogue also asks that etcd started after ca.pem was written. Joining a control plane rewrites ca.pem unchanged, so digests are compared, never times.',
  judge: ({ node, want, check }) => {
    check.equal(
      'SHA-256 fingerprint of the served certificate',
      node.servedCertificate('etcd-cert-served').fingerprint,
      node.certificate(`${want.etcd_cert_dir}/member-${node.name}.pem`).fingerprint,
    )
  },
  dependsOn: ['etcd-cert-sans'],
  refutedBy: {
    'another one is served': edit =>
      edit.output('etcd-cert-served', text =>
        text.replace(/Fingerprint=../, found => (found.endsWith('00') ? 'Fingerprint=11' : 'Fingerprint=00')),
      ),
  },
})

invariant('etcd-cp-client-cert', {
  title: "The API server's etcd certificate is on the control plane, and etcd answers to it",
  on: controlPlanes,
  severity: 'blocker',
  because:
    "All API servers of a fresh installation use the first control plane's certificate; recovery once deleted it.",
  source: [kubespray('roles/etcd "Pretend all control plane have all certs"'), issue(8840, 12181)],
  fix: remedy.etcd,
  judge: ({ node, want, check }) => {
    const { flags } = node.staticPod('kube-apiserver.yaml')
    for (const flag of ['etcd-certfile', 'etcd-keyfile', 'etcd-cafile']) {
      const path = flags.get(flag) ?? ''
      check.that(`--${flag}`, node.etcdSsl.has(path), `${path} is not on the node`, `a file in ${want.etcd_cert_dir}`)
    }
    check.equal('etcd among the checks of /readyz', node.verboseHealth('curl-readyz').checks.get('etcd'), true)
  },
  dependsOn: ['etcd-cert-files', 'cp-apiserver-healthz'],
  refutedBy: {
    'the file is gone': {
      edit: edit =>
        edit.output('etcd-ssl-listing', text => {
          const name =
            /--etcd-certfile=(\S+)/.exec(edit.content('/etc/kubernetes/manifests/kube-apiserver.yaml'))?.[1] ?? ''
          return text.replace(new RegExp(`^.* ${name} .*\\n`, 'm'), '')
        }),
      also: ['etcd-cert-files'],
    },
    'etcd does not answer': {
      edit: edit => edit.output('curl-readyz', text => text.replace('[+]etcd ok', '[-]etcd failed: reason withheld')),
      also: ['cp-apiserver-healthz'],
    },
  },
})

invariant('etcd-worker-client-cert', {
  title: "A worker holds no more of etcd's certificates than its network plugin needs, in a closed folder",
  on: workers,
  severity: 'normal',
  because:
    'With them a worker has full rights on etcd: what is not needed must not be there, and what is there must be closed.',
  source: [kubespray('playbooks/install_etcd.yml "Add worker nodes to the etcd play if needed"')],
  fix: remedy.leftover,
  judge: ({ node, want, check }) => {
    const needed = ['flannel', 'canal', 'cilium'].includes(want.kube_network_plugin)
    const dir = want.etcd_cert_dir
    check.sameSet(
      `in ${dir}`,
      node.etcdSsl.names(dir),
      needed ? ['ca.pem', `node-${node.name}.pem`, `node-${node.name}-key.pem`] : [],
    )
    check.equal(`permissions of ${dir}`, node.etcdSsl.get(dir)?.permissions, 'drwx------')
    check.that(
      'node certificate',
      node.certificate(`${dir}/node-${node.name}.pem`).isIssuedBy(node.etcdCa),
      'of another CA',
      'issued by ca.pem',
    )
  },
  dependsOn: ['etcd-cert-ca-same'],
  refutedBy: {
    "an administrator's key": edit =>
      edit.output('etcd-ssl-listing', text =>
        text.replace(/^(.*)node-(\S+)-key\.pem(.*)$/m, '$&\n$1admin-$2-key.pem$3'),
      ),
    'an open folder': edit =>
      edit.output('etcd-ssl-listing', text =>
        text.replace(/^drwx------( .* \/etc\/ssl\/etcd\/ssl -> )$/m, 'drwxr-xr-x$1'),
      ),
  },
})

invariant('etcd-worker-full-access', {
  title: 'No worker can read all of etcd',
  on: workers,
  severity: 'advisory',
  because:
    'Kubespray gives workers a client certificate for flannel and cilium, and etcd knows no roles: whoever is root on a worker reads every Secret.',
  source: [kubespray('playbooks/install_etcd.yml')],
  fix: 'Accept it, or choose a network plugin that does not need it (flannel with kube-subnet-mgr does not use it); firewall 2379 to control planes.',
  unless: ({ want }) =>
    ['flannel', 'canal', 'cilium'].includes(want.kube_network_plugin)
      ? undefined
      : `${want.kube_network_plugin} needs none`,
  judge: ({ node, want, check }) =>
    check.none(
      'etcd keys on the worker',
      node.etcdSsl.names(want.etcd_cert_dir).filter(name => name.endsWith('-key.pem')),
    ),
  suppliedBy: edit => edit.output('etcd-ssl-listing', text => text.replace(/^.*-key\.pem.*\n/gm, '')),
  refutedBy: {
    'a client key': edit =>
      edit.output('etcd-ssl-listing', text => text.replace(/^(.*)ca\.pem(.*)$/m, '$&\n$1node-x-key.pem$2')),
  },
})

invariant('etcd-ca-trusted', {
  title: 'The host trusts the etcd CA',
  on: allNodes,
  severity: 'minor',
  because: "Tools on the host that use the system's trust store (backup scripts, monitoring) otherwise refuse etcd.",
  source: [kubespray('roles/etcd/tasks/upd_ca_trust.yml')],
  fix: remedy.etcd,
  correction: "The path differs by distribution; the catalogue names only RedHat's.",
  judge: ({ node, check }) =>
    check.equal(
      'fingerprint of etcd-ca.crt in the trust store',
      node.trustedEtcdCa.fingerprint,
      node.etcdCa.fingerprint,
    ),
  suppliedBy: edit => edit.addCommand('etcd-ca-trusted', edit.content('/etc/ssl/etcd/ssl/ca.pem')),
  refutedBy: {
    'another CA': edit => edit.output('etcd-ca-trusted', () => edit.content('/etc/kubernetes/ssl/ca.crt')),
  },
})
