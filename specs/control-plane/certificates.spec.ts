import { kubernetesVersion } from '../../helpers/expectations/expectations.ts'
import { allNodes, controlPlanes, plane, wholeCluster, topology } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy } from '../../helpers/invariant/remedy.ts'

const invariant = plane('control-plane')
const DAY = 24 * 3600 * 1000

invariant('cp-kubeadm-config-file', {
  title: "kubeadm-config.yaml on the host is of the release's API version and names the host",
  on: controlPlanes,
  severity: 'normal',
  because: 'The next join or upgrade reads it.',
  source: [kubespray('roles/kubernetes/control-plane/templates/kubeadm-config.v1beta4.yaml.j2')],
  fix: remedy.controlPlane,
  judge: ({ cluster, node, want, check }) => {
    const { cluster: config, init } = node.kubeadmConfig
    const address = cluster.mainIp(node.name)
    check.equal('apiVersion', config.apiVersion, `kubeadm.k8s.io/${want.kubeadm_config_api_version}`)
    check.equal('controlPlaneEndpoint', config.get('controlPlaneEndpoint'), `${address}:${want.kube_apiserver_port}`)
    check.equal('localAPIEndpoint.advertiseAddress', init.get('localAPIEndpoint.advertiseAddress'), address)
    check.equal('kubernetesVersion', config.get('kubernetesVersion'), `v${kubernetesVersion(want)}`)
    check.equal('mode', node.fileStatus(`${want.kube_config_dir}/kubeadm-config.yaml`).mode, '0640')
  },
  refutedBy: {
    'another endpoint': edit =>
      edit.file('/etc/kubernetes/kubeadm-config.yaml', text =>
        text.replace(/controlPlaneEndpoint: .*/, 'controlPlaneEndpoint: "192.0.2.1:6443"'),
      ),
    'another API version': edit =>
      edit.file('/etc/kubernetes/kubeadm-config.yaml', text =>
        text.replaceAll('kubeadm.k8s.io/v1beta4', 'kubeadm.k8s.io/v1beta3'),
      ),
    'readable for all': edit => edit.status('/etc/kubernetes/kubeadm-config.yaml', { mode: '0644' }),
  },
})

invariant('cp-kubeadm-config-cm', {
  title: 'ConfigMap kubeadm-config describes the cluster of the inventory',
  on: wholeCluster,
  severity: 'critical',
  because: 'Joins and upgrades start from it: after the first control plane was removed it still names that one.',
  source: [issue(12437, 8235, 12852), kubespray('docs/operations/nodes.md')],
  fix: remedy.kubeadmConfigMaps,
  dependsOn: topology,
  judge: ({ cluster, want, check }) => {
    const config = cluster.api.kubeadmConfig
    check.includes('API servers', cluster.apiServerAddresses, [String(config.get('controlPlaneEndpoint'))])
    check.equal('certificatesDir', config.get('certificatesDir'), want.kube_cert_dir)
    check.equal('kubernetesVersion', config.get('kubernetesVersion'), `v${kubernetesVersion(want)}`)
    check.equal('clusterName', config.get('clusterName'), want.cluster_name)
    check.equal('networking.podSubnet', config.get('networking.podSubnet'), want.kube_pods_subnet)
    check.equal('networking.serviceSubnet', config.get('networking.serviceSubnet'), want.kube_service_subnets)
    check.equal('networking.dnsDomain', config.get('networking.dnsDomain'), want.dns_domain)
    check.sameSet(
      'etcd.external.endpoints',
      (config.get('etcd.external.endpoints') as string[] | undefined) ?? [],
      cluster.etcdAccessAddresses,
    )
    check.includes(
      'apiServer.certSANs',
      (config.get('apiServer.certSANs') as string[] | undefined) ?? [],
      cluster.expectations.controlPlanes.map(host => cluster.mainAccessIp(host)),
    )
  },
  refutedBy: {
    'an endpoint that is gone': {
      edit: edit =>
        edit.configMap('kubeadm-config', 'ClusterConfiguration', text =>
          text.replace(/controlPlaneEndpoint: .*/, 'controlPlaneEndpoint: 192.0.2.1:6443'),
        ),
      also: ['inv-first-cp-matches-cluster'],
    },
    'an old version': edit =>
      edit.configMap('kubeadm-config', 'ClusterConfiguration', text =>
        text.replace(/kubernetesVersion: .*/, 'kubernetesVersion: v1.20.0'),
      ),
    'another pod network': edit =>
      edit.configMap('kubeadm-config', 'ClusterConfiguration', text =>
        text.replace(/podSubnet: .*/, 'podSubnet: 10.244.0.0/16'),
      ),
    'another etcd': edit =>
      edit.configMap('kubeadm-config', 'ClusterConfiguration', text =>
        text.replace(/- https:\/\/\S+:2379/, '- https://192.0.2.9:2379'),
      ),
  },
})

invariant('cp-cluster-info-cm', {
  title: "ConfigMap cluster-info names a live control plane and the cluster's CA",
  on: wholeCluster,
  severity: 'critical',
  because: 'New nodes ask it first: with an address that is gone nobody joins.',
  source: [kubespray('docs/operations/nodes.md (step 4)'), issue(12437, 10808)],
  fix: remedy.kubeadmConfigMaps,
  judge: ({ cluster, check }) => {
    const { server, ca } = cluster.api.clusterInfo
    check.includes(
      'API servers',
      cluster.apiServerAddresses.map(address => `https://${address}`),
      [server],
    )
    check.equal('fingerprint of its CA', ca?.fingerprint, cluster.firstControlPlane.caCertificate.fingerprint)
  },
  dependsOn: [...topology, 'cert-ca-same'],
  refutedBy: {
    'an address that is gone': {
      edit: edit =>
        edit.configMap('cluster-info', 'kubeconfig', text =>
          text.replace(/server: .*/, 'server: https://192.0.2.1:6443'),
        ),
      also: ['inv-first-cp-matches-cluster'],
    },
    'another CA': edit =>
      edit.configMap('cluster-info', 'kubeconfig', text =>
        text.replace(
          /certificate-authority-data: .*/,
          `certificate-authority-data: ${Buffer.from(edit.content('/etc/ssl/etcd/ssl/ca.pem')).toString('base64')}`,
        ),
      ),
  },
})

invariant('cert-pki-link', {
  title: '/etc/kubernetes/pki leads to the folder of the certificates',
  on: allNodes,
  severity: 'normal',
  because: 'kubeadm and other tools look there.',
  source: [kubespray('roles/kubernetes/preinstall/tasks/0050-create_directories.yml')],
  fix: remedy.host,
  judge: ({ node, want, check }) =>
    check.equal(`target of ${want.kube_cert_compat_dir}`, node.pkiLink, want.kube_cert_dir),
  refutedBy: { 'it leads elsewhere': edit => edit.output('pki-link', () => '/srv/pki\n') },
})

invariant('cert-ca-same', {
  title: 'All machines trust the same cluster CA, all control planes the same front-proxy CA',
  on: wholeCluster,
  severity: 'blocker',
  because: 'A new control plane put first in the inventory issues its own: half of the cluster then refuses the other.',
  source: [issue(10863, 9866)],
  fix: remedy.investigate,
  correction:
    "sa.pub is not among the evidence; the controller manager and the API server would refuse each other's tokens if it differed.",
  judge: ({ cluster, want, check }) => {
    const first = cluster.firstControlPlane
    const frontProxy = `${want.kube_cert_dir}/front-proxy-ca.crt`
    check.that(
      'ca.crt of the first control plane',
      first.caCertificate.isIssuedBy(first.caCertificate),
      'issued by another',
      'its own issuer',
    )
    for (const node of cluster.nodes) {
      check.equal(`ca.crt of ${node.name}`, node.caCertificate.fingerprint, first.caCertificate.fingerprint)
      if (cluster.isControlPlane(node.name))
        check.equal(
          `front-proxy-ca.crt of ${node.name}`,
          node.certificate(frontProxy).fingerprint,
          first.certificate(frontProxy).fingerprint,
        )
    }
  },
  refutedBy: {
    'one node trusts another CA': {
      edit: edit =>
        edit
          .on(edit.recording.nodes.at(-1) ?? '')
          .file('/etc/kubernetes/ssl/ca.crt', () => edit.content('/etc/ssl/etcd/ssl/ca.pem')),
      also: ['kl-cert-rotation', 'lb-upstreams-alive'],
    },
    'another front-proxy CA': edit =>
      edit
        .on(edit.others[0] ?? '')
        .file('/etc/kubernetes/ssl/front-proxy-ca.crt', () => edit.content('/etc/ssl/etcd/ssl/ca.pem')),
  },
})

invariant('cert-apiserver-sans', {
  title: "The API server's certificate names every name and address that it is called by",
  on: controlPlanes,
  severity: 'blocker',
  because:
    "Workers call localhost and 127.0.0.1, pods the Service's address, administrators any control plane: a missing one is a TLS error for them.",
  source: [kubespray('roles/kubernetes/control-plane/tasks/kubeadm-setup.yml (apiserver_sans)')],
  fix: remedy.certificates,
  judge: ({ cluster, node, want, check }) => {
    const hosts = cluster.expectations.controlPlanes
    check.includes(
      'subject alternative names',
      node.certificate(`${want.kube_cert_dir}/apiserver.crt`).subjectAltNames,
      [
        ...['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${want.dns_domain}`],
        ...[want.kube_apiserver_ip, 'localhost', '127.0.0.1', '0:0:0:0:0:0:0:1'],
        ...hosts,
        ...new Set(hosts.flatMap(host => [cluster.mainIp(host), cluster.mainAccessIp(host)])),
        ...(cluster.release.loadBalancerNameInCertificates ? [want.apiserver_loadbalancer_domain_name] : []),
        ...want.supplementary_addresses_in_ssl_keys,
      ],
    )
  },
  refutedBy: {
    'a certificate without them': {
      edit: edit =>
        edit.file('/etc/kubernetes/ssl/apiserver.crt', () =>
          edit.content('/etc/kubernetes/ssl/apiserver-kubelet-client.crt'),
        ),
      also: ['cert-live-equals-disk'],
    },
  },
})

invariant('cert-expiry', {
  title: 'No certificate of the control plane expires within 30 days, no CA within a year',
  on: controlPlanes,
  severity: 'blocker',
  because: 'They last a year and Kubespray does not renew them by default: when they expire the API stops.',
  source: [kubespray('roles/kubernetes/control-plane/defaults (kube_cert_validity_period)'), issue(7559, 5464)],
  fix: remedy.certificates,
  judge: ({ cluster, node, want, check }) => {
    const { certificates, certificateAuthorities } = node.kubeadmCertificates
    // kubeadm lists super-admin.conf as missing where it is not; etcd's own are external here.
    for (const { name, expirationDate, missing } of certificates) {
      if (!missing)
        check.that(
          name,
          Date.parse(expirationDate ?? '') - cluster.recordedAt > 30 * DAY,
          expirationDate,
          'more than 30 days after the recording',
        )
    }
    for (const { name, expirationDate, missing } of certificateAuthorities) {
      if (!missing)
        check.that(
          name,
          Date.parse(expirationDate ?? '') - cluster.recordedAt > 365 * DAY,
          expirationDate,
          'more than a year after the recording',
        )
    }
    for (const name of ['apiserver', 'apiserver-kubelet-client', 'front-proxy-client']) {
      const { notAfter } = node.certificate(`${want.kube_cert_dir}/${name}.crt`)
      check.that(
        `${name}.crt`,
        notAfter - cluster.recordedAt > 30 * DAY,
        new Date(notAfter).toISOString(),
        'more than 30 days after the recording',
      )
    }
  },
  dependsOn: ['cert-apiserver-sans'],
  refutedBy: {
    'one expires tomorrow': edit =>
      edit.json('kubeadm-certs', list => {
        list.certificates[1].expirationDate = new Date(edit.recording.recordedAt + DAY).toISOString()
      }),
    'a CA expires this year': edit =>
      edit.json('kubeadm-certs', list => {
        list.certificateAuthorities[0].expirationDate = new Date(edit.recording.recordedAt + 90 * DAY).toISOString()
      }),
  },
})

invariant('cert-live-equals-disk', {
  title: 'The API server serves the certificate that lies on its disk',
  on: controlPlanes,
  severity: 'critical',
  because: 'After a renewal without a restart it serves the old one until it expires.',
  source: [issue(5555)],
  fix: remedy.certificates,
  judge: ({ cluster, node, want, check }) => {
    const { fingerprint } = node.certificate(`${want.kube_cert_dir}/apiserver.crt`)
    check.equal('served on 127.0.0.1', node.servedCertificate('apiserver-cert-served').fingerprint, fingerprint)
    check.equal(
      'served on its address',
      node.servedCertificate(`cert-served-${cluster.mainAccessIp(node.name)}`).fingerprint,
      fingerprint,
    )
  },
  dependsOn: ['cert-apiserver-sans'],
  refutedBy: {
    'another one is served': edit =>
      edit.output('apiserver-cert-served', text =>
        text.replace(/Fingerprint=../, found => (found.endsWith('00') ? 'Fingerprint=11' : 'Fingerprint=00')),
      ),
  },
})

invariant('cert-kubeconfig-expiry', {
  title: "The client certificates in kubeconfigs are of the cluster's CA and do not expire within 30 days",
  on: controlPlanes,
  severity: 'critical',
  because: 'They expire like the others, and the copy in /root/.kube/config is forgotten.',
  source: [issue(9182)],
  fix: remedy.certificates,
  judge: ({ cluster, node, check }) => {
    const first = node.name === cluster.firstControlPlane.name
    for (const file of [
      'admin.conf',
      'controller-manager.conf',
      'scheduler.conf',
      ...(first ? ['super-admin.conf'] : []),
    ]) {
      const certificate = node.kubeconfig(file).clientCertificate
      check.that(
        `certificate in ${file}`,
        certificate?.isIssuedBy(node.caCertificate) === true,
        'of another CA',
        'issued by ca.crt',
      )
      check.that(
        `certificate in ${file} expires`,
        (certificate?.notAfter ?? 0) - cluster.recordedAt > 30 * DAY,
        new Date(certificate?.notAfter ?? 0).toISOString(),
        'more than 30 days after the recording',
      )
      check.equal(`CA in ${file}`, node.kubeconfig(file).ca?.fingerprint, node.caCertificate.fingerprint)
    }
  },
  dependsOn: ['cert-ca-same'],
  refutedBy: {
    'a certificate of another CA': edit =>
      edit.file('/etc/kubernetes/scheduler.conf', text =>
        text.replace(
          /client-certificate-data: .*/,
          `client-certificate-data: ${Buffer.from(edit.content('/etc/ssl/etcd/ssl/ca.pem')).toString('base64')}`,
        ),
      ),
    'another CA': edit =>
      edit.file('/etc/kubernetes/scheduler.conf', text =>
        text.replace(
          /certificate-authority-data: .*/,
          `certificate-authority-data: ${Buffer.from(edit.content('/etc/ssl/etcd/ssl/ca.pem')).toString('base64')}`,
        ),
      ),
  },
})

invariant('cert-renew-script', {
  title: 'The script that renews certificates is installed on control planes',
  on: controlPlanes,
  severity: 'normal',
  because: 'It is what an administrator is told to run.',
  source: [kubespray('roles/kubernetes/control-plane/tasks/main.yml')],
  fix: remedy.controlPlane,
  judge: ({ node, check }) => {
    check.equal('permissions of k8s-certs-renew.sh', node.binaries.get('k8s-certs-renew.sh')?.permissions, '-rwxr-xr-x')
    check.equal('owner of k8s-certs-renew.sh', node.binaries.get('k8s-certs-renew.sh')?.owner, 'root')
  },
  refutedBy: {
    'it is not executable': edit =>
      edit.output('bin-listing', text => text.replace(/^-rwxr-xr-x(.* k8s-certs-renew\.sh)$/m, '-rw-r--r--$1')),
  },
})

invariant('cert-renew-timer', {
  title: 'Certificates are renewed by a timer exactly where the inventory says so',
  on: controlPlanes,
  severity: 'normal',
  because: 'Without it somebody must renew them within the year; with it the control plane restarts at night.',
  source: [kubespray('roles/kubernetes/control-plane/templates/k8s-certs-renew.timer.j2')],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) =>
    check.equal(
      'k8s-certs-renew.timer is active',
      node.serviceState('k8s-certs-renew.timer') === 'active',
      want.auto_renew_certificates,
    ),
  suppliedBy: edit => edit.addCommand('is-active-k8s-certs-renew.timer', 'inactive\n', 3),
  refutedBy: {
    'a timer that nobody asked for': edit => edit.output('is-active-k8s-certs-renew.timer', () => 'active\n', 0),
  },
})

invariant('cert-renew-calendar-bug', {
  title: 'The renewal script is not the one that restarts the control plane at every run',
  on: controlPlanes,
  severity: 'advisory',
  because:
    'In v2.29 its line calendar=… is not quoted: it renews, and restarts all control-plane pods, every time it runs.',
  source: [issue(12875, 13072, 13413)],
  fix: 'Quote the line in k8s-certs-renew.sh, or run it only when certificates are about to expire.',
  unless: ({ want }) =>
    want.auto_renew_certificates ? undefined : 'auto_renew_certificates is false: nothing runs the script',
  judge: ({ cluster, node, check }) => {
    check.that(
      'k8s-certs-renew.sh',
      node.binaries.has('k8s-certs-renew.sh') && !cluster.release.renewScriptCalendarBug,
      `of ${cluster.release.tag}, which has the defect`,
      'of a release without it',
    )
  },
  suppliedBy: edit => {
    edit.vars({ auto_renew_certificates: true })
    edit.text('controller/kubespray-version.txt', () => 'v2.30.0\n')
  },
  refutedBy: {
    'the release that has the defect': edit => edit.text('controller/kubespray-version.txt', () => 'v2.29.1\n'),
  },
})
