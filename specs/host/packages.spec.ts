import { allNodes, controller, controlPlanes, etcdMembers, plane, workers } from '../../helpers/invariant/invariant.ts'
import type { Cluster } from '../../helpers/evidence/cluster.ts'
import type { NodeFacts } from '../../helpers/evidence/node-facts.ts'
import { kubernetesVersion, type Values } from '../../helpers/expectations/expectations.ts'
import { kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('host')
const downloads = kubespray('roles/kubespray_defaults/defaults/main/download.yml')

const architecture = (node: NodeFacts) =>
  ({ x86_64: 'amd64', aarch64: 'arm64' })[node.kernel.machine] ?? node.kernel.machine

/** What Kubespray downloads to a node of either kind, by the names that it gives the files. */
function artefacts(node: NodeFacts, want: Values, cluster: Cluster): string[] {
  const arch = architecture(node)
  const kube = cluster.release.versionsHaveV ? `v${kubernetesVersion(want)}` : want.kube_version
  const common = [
    `cni-plugins-linux-${arch}-${want.cni_version}.tgz`,
    `containerd-${want.containerd_version}-linux-${arch}.tar.gz`,
    'crictl',
    `crictl-${want.crictl_version}-linux-${arch}.tar.gz`,
    `kubeadm-${kube}-${arch}`,
    `kubelet-${kube}-${arch}`,
    'nerdctl',
    `nerdctl-${want.nerdctl_version}-linux-${arch}.tar.gz`,
    `runc-${want.runc_version}.${arch}`,
  ]
  return [
    ...common,
    ...(cluster.isControlPlane(node.name) ? [`kubectl-${kube}-${arch}`] : []),
    ...(cluster.isEtcdMember(node.name)
      ? [`etcd-${want.etcd_version}-linux-${arch}.tar.gz`, `etcd-v${want.etcd_version}-linux-${arch}`]
      : []),
  ]
}

invariant('pkg-required', {
  title: 'The packages that Kubernetes needs are installed',
  on: allNodes,
  severity: 'normal',
  because: 'kube-proxy, port forwarding and the CNI plugins call them.',
  source: [kubespray('roles/system_packages/vars/main.yml')],
  fix: remedy.host,
  judge: ({ node, want, check }) => {
    const names = [...node.packages].map(name => (name === 'conntrack-tools' ? 'conntrack' : name))
    const needed = [
      'conntrack',
      'socat',
      'iptables',
      'openssl',
      'rsync',
      'curl',
      ...(want.kube_proxy_mode === 'ipvs' ? ['ipvsadm'] : ['ipset']),
    ]
    check.includes('installed packages', names, needed)
  },
  refutedBy: {
    'conntrack is missing': edit => edit.output('pkg-list', text => text.replace(/^conntrack .*\n/m, '')),
    'ipset is missing': edit => edit.output('pkg-list', text => text.replace(/^ipset .*\n/m, '')),
  },
})

invariant('bin-dir', {
  title: 'bin_dir holds what the node needs, and no more',
  on: allNodes,
  severity: 'critical',
  because: 'A missing binary is found at the next restart; etcd or kubectl on a worker is a left-over of another role.',
  source: [kubespray('roles/kubernetes/node/tasks/install.yml'), kubespray('roles/etcdctl_etcdutl'), seed('host vars')],
  fix: remedy.binaries,
  judge: ({ cluster, node, want, check }) => {
    const names = node.binaries.names('')
    const onlyEtcd = ['etcd', 'etcdctl', 'etcdutl', 'etcdctl.sh']
    check.includes(`in ${want.bin_dir}`, names, [
      ...['kubelet', 'kubeadm', 'containerd', 'runc', 'crictl', 'nerdctl'],
      ...(cluster.isControlPlane(node.name) ? ['kubectl'] : []),
      ...(cluster.isEtcdMember(node.name) ? onlyEtcd : []),
    ])
    const foreign = [
      ...(cluster.isControlPlane(node.name) ? [] : ['kubectl']),
      ...(cluster.isEtcdMember(node.name) ? [] : onlyEtcd),
    ]
    check.none(
      'binaries of another role',
      names.filter(name => foreign.includes(name)),
    )
  },
  refutedBy: {
    'crictl is missing': edit => edit.output('bin-listing', text => text.replace(/^.* crictl\n/m, '')),
    'a binary that is none of its business': edit =>
      edit.output('bin-listing', text =>
        / etcd$/m.test(text)
          ? text.replace(/^.* kubeadm\n/m, '')
          : `${text}-rwxr-xr-x 1 root root 9 Nov 22 21:58 etcdctl\n`,
      ),
  },
})

invariant('bin-kube-version', {
  title: 'kubelet, kubeadm and kubectl are of the version of the inventory',
  on: allNodes,
  severity: 'critical',
  because: 'A node that was left out of an upgrade falls behind the supported skew.',
  source: [downloads],
  fix: remedy.binaries,
  judge: ({ cluster, node, want, check }) => {
    const version = kubernetesVersion(want)
    for (const program of ['kubelet', 'kubeadm', ...(cluster.isControlPlane(node.name) ? ['kubectl'] : [])]) {
      check.equal(program, node.version(program), version)
    }
  },
  refutedBy: {
    'the kubelet is older': edit => edit.output('kubelet-version', () => 'Kubernetes v1.30.1\n'),
    'kubeadm is older': edit => edit.output('kubeadm-version', () => 'v1.30.1\n'),
  },
})

invariant('bin-etcd-version', {
  title: 'etcd and etcdctl are of the version of the inventory',
  on: etcdMembers,
  severity: 'critical',
  because: 'Members of different versions are meant for the minutes of an upgrade only.',
  source: [kubespray('roles/kubespray_defaults/vars/main/main.yml (etcd_supported_versions)')],
  fix: remedy.etcd,
  correction:
    "The literal 3.5.25 is the release's default: the resolved etcd_version counts. `etcdutl version` is not among the evidence; bin-checksum covers it.",
  judge: ({ node, want, check }) => {
    for (const program of ['etcd', 'etcdctl']) check.equal(program, node.version(program), want.etcd_version)
  },
  refutedBy: {
    'etcd is older': edit =>
      edit.output('etcd-version', text => text.replace(/^etcd Version: .*$/m, 'etcd Version: 3.5.0')),
    'etcdctl is older': edit =>
      edit.output('etcdctl-version', text => text.replace(/^etcdctl version: .*$/m, 'etcdctl version: 3.5.0')),
  },
})

invariant('bin-checksum', {
  title: 'Downloads have the digests that the inventory pins, and bin_dir holds those very files',
  on: allNodes,
  severity: 'normal',
  because: 'A binary that was replaced after the deployment runs as root on every node.',
  source: [kubespray('roles/kubespray_defaults/vars/main/checksums.yml')],
  fix: remedy.binaries,
  correction:
    "Digests that the inventory brings are compared; the release's own list is not part of this suite. Members of archives (etcd, containerd) have no digest of their own.",
  judge: ({ cluster, node, want, check }) => {
    const arch = architecture(node)
    const pinned = (checksums: unknown, version: string) =>
      (checksums as Record<string, Record<string, string>> | undefined)?.[arch]?.[version]?.replace(/^sha256:/, '')
    const kube = want.kube_version
    const expected: [string, string | undefined][] = [
      [`kubelet-${kube}-${arch}`, pinned(want.kubelet_checksums, kube)],
      [`kubeadm-${kube}-${arch}`, pinned(want.kubeadm_checksums, kube)],
      ...(cluster.isControlPlane(node.name)
        ? ([[`kubectl-${kube}-${arch}`, pinned(want.kubectl_checksums, kube)]] as [string, string | undefined][])
        : []),
      ...(cluster.isEtcdMember(node.name)
        ? ([
            [`etcd-${want.etcd_version}-linux-${arch}.tar.gz`, pinned(want.etcd_binary_checksums, want.etcd_version)],
          ] as [string, string | undefined][])
        : []),
      [`cni-plugins-linux-${arch}-${want.cni_version}.tgz`, pinned(want.cni_binary_checksums, want.cni_version)],
      [`crictl-${want.crictl_version}-linux-${arch}.tar.gz`, pinned(want.crictl_checksums, want.crictl_version)],
      [`runc-${want.runc_version}.${arch}`, pinned(want.runc_checksums, want.runc_version)],
      [
        `nerdctl-${want.nerdctl_version}-linux-${arch}.tar.gz`,
        pinned(want.nerdctl_archive_checksums, want.nerdctl_version),
      ],
      [
        `containerd-${want.containerd_version}-linux-${arch}.tar.gz`,
        pinned(want.containerd_archive_checksums, want.containerd_version),
      ],
    ]
    for (const [name, digest] of expected)
      if (digest !== undefined) check.equal(`SHA-256 of ${name}`, node.releaseDigests.get(name), digest)
    const installed = {
      kubelet: `kubelet-${kube}-${arch}`,
      kubeadm: `kubeadm-${kube}-${arch}`,
      runc: `runc-${want.runc_version}.${arch}`,
      crictl: 'crictl',
      nerdctl: 'nerdctl',
    }
    for (const [program, artefact] of Object.entries(installed)) {
      check.equal(
        `SHA-256 of ${want.bin_dir}/${program}`,
        node.binaryDigests.get(program),
        node.releaseDigests.get(artefact),
      )
    }
  },
  refutedBy: {
    'the kubelet was replaced': edit =>
      edit.output('bin-sha256', text => text.replace(/^[0-9a-f]{64}( +kubelet)$/m, `${'0'.repeat(64)}$1`)),
    'a download differs': edit =>
      edit.output('tmp-releases-sha256', text => text.replace(/^[0-9a-f]{64}( +containerd-)/m, `${'0'.repeat(64)}$1`)),
  },
})

invariant('bin-no-stray-runc', {
  title: 'There is no runc or containerd of the distribution',
  on: allNodes,
  severity: 'normal',
  because: 'A second runc in the path is used by whoever finds it first, and updated by the distribution.',
  source: [kubespray('roles/container-engine/runc/tasks/main.yml')],
  fix: 'Remove the package, or /usr/bin/runc.',
  judge: ({ node, check }) => {
    check.none(
      'packages',
      [...node.packages].filter(name => ['runc', 'containerd', 'containerd.io'].includes(name)),
    )
    check.that('/usr/bin/runc', node.strayRunc !== 0, 'is there', 'absent')
  },
  suppliedBy: edit =>
    edit.addCommand('stray-runc', '', 2, 'ls: cannot access /usr/bin/runc: No such file or directory\n'),
  refutedBy: {
    'a package runc': edit => edit.output('pkg-list', text => `${text}runc 1.1.5+ds1-1 install ok installed\n`),
    'a binary': edit => edit.output('stray-runc', () => '/usr/bin/runc\n', 0),
  },
})

invariant('rel-dir-cp', {
  title: 'local_release_dir of a control plane holds every download, etcd and kubectl among them',
  on: controlPlanes,
  severity: 'minor',
  because: 'A later run takes what is there: an artefact of another version is a run that did not finish.',
  source: [seed('local_release_dir'), downloads],
  fix: remedy.binaries,
  dependsOn: ['rel-dir-byproducts'],
  judge: ({ cluster, node, want, check }) =>
    check.includes(`in ${want.local_release_dir}`, node.releases.names(''), artefacts(node, want, cluster)),
  refutedBy: {
    'the kubectl download is missing': edit =>
      edit.output('tmp-releases', text => text.replace(/^.* kubectl-.*\n/m, '')),
    'the etcd archive is missing': edit =>
      edit.output('tmp-releases', text => text.replace(/^.* etcd-.*\.tar\.gz\n/m, '')),
  },
})

invariant('rel-dir-worker', {
  title: 'local_release_dir of a worker holds the same but etcd and kubectl',
  on: workers,
  severity: 'minor',
  because:
    'etcd or kubectl there tells that the node had another role, whose left-overs (certificates, units) may be there too.',
  source: [seed('local_release_dir'), downloads],
  fix: remedy.binaries,
  dependsOn: ['rel-dir-byproducts'],
  judge: ({ cluster, node, want, check }) => {
    check.includes(`in ${want.local_release_dir}`, node.releases.names(''), artefacts(node, want, cluster))
    check.none(
      'downloads of another role',
      node.releases.names('').filter(name => /^(etcd|kubectl)-/.test(name)),
    )
  },
  refutedBy: {
    'the runc download is missing': edit => edit.output('tmp-releases', text => text.replace(/^.* runc-.*\n/m, '')),
    'a kubectl download': edit =>
      edit.output('tmp-releases', text => text.replace(/^(.*) kubelet-(.*)$/m, '$&\n$1 kubectl-$2')),
  },
})

invariant('rel-dir-byproducts', {
  title: 'local_release_dir holds nothing of another version or architecture',
  on: allNodes,
  severity: 'minor',
  because: 'It is left from an earlier deployment, or from a run that stopped.',
  source: [seed('local_release_dir')],
  fix: 'Remove the stray artefact.',
  judge: ({ cluster, node, want, check }) => {
    const known = [
      ...artefacts(node, want, cluster),
      'images',
      'containerd-rootless.sh',
      'containerd-rootless-setuptool.sh',
    ]
    const expected = [...known, `kubectl-${want.kube_version}-${architecture(node)}`]
    check.none(
      'artefacts that this version does not download',
      node.releases.names('').filter(name => !expected.includes(name)),
    )
    check.includes('folders', node.releases.names(''), ['images'])
  },
  refutedBy: {
    'an old kubelet': edit =>
      edit.output('tmp-releases', text => `${text}-rwxr-xr-x 1 root root 9 Nov 22 21:58 kubelet-1.30.1-amd64\n`),
    'no images folder': edit => edit.output('tmp-releases', text => text.replace(/^.* images\n/m, '')),
  },
})

invariant('fact-cache', {
  title: 'The controller caches the facts of every host',
  on: controller,
  severity: 'normal',
  because:
    'A run with --limit needs the facts of the others: without them the balancer gets no upstreams, or 127.0.0.1.',
  source: [kubespray('ansible.cfg (fact_caching_connection=/tmp)'), seed('/tmp')],
  fix: 'Run facts.yml before a run with --limit.',
  correction: 'The seed calls the files temporary folders for module transfer: they are JSON fact caches.',
  judge: ({ cluster, check }) =>
    check.includes('fact caches', cluster.controller.factCache, cluster.expectations.machines),
  suppliedBy: edit =>
    edit.addText(
      'controller/fact-cache.txt',
      `${edit.recording.nodes.map(node => `-rw-r--r-- root root 60000 1795388000.0 /tmp/${node}`).join('\n')}\n`,
    ),
  refutedBy: {
    'no facts of one host': edit => edit.text('controller/fact-cache.txt', text => text.replace(/^.*\n/, '')),
  },
})
