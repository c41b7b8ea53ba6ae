import { allNodes, plane, wholeCluster } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('host')
const preinstall = (file: string) => kubespray(`roles/kubernetes/preinstall/tasks/${file}`)

const isRedHat = (os: ReadonlyMap<string, string>) =>
  /\b(rhel|fedora|centos)\b/.test(`${os.get('ID') ?? ''} ${os.get('ID_LIKE') ?? ''}`)

invariant('os-systemd-supported', {
  title: 'The distribution is one that Kubespray supports, and control groups are mounted',
  on: allNodes,
  severity: 'normal',
  because: 'On another the roles pick wrong packages and paths, and an upgrade stops half way.',
  source: [preinstall('0040-verify-settings.yml'), kubespray('roles/kubespray_defaults (supported_os_distributions)')],
  fix: remedy.investigate,
  correction:
    'Both control group versions are in use: the file system may be cgroup2fs or tmpfs (version 1). /proc/1/comm is not among the evidence; units that systemd shows as active stand for it.',
  judge: ({ node, want, check }) => {
    const id = node.osRelease.get('ID') ?? ''
    check.that(
      'ID in /etc/os-release',
      want.allow_unsupported_distribution_setup ||
        want.supported_os_distributions.map(name => name.toLowerCase()).includes(id.toLowerCase()),
      id,
      'a supported distribution',
    )
    check.that(
      'file system of /sys/fs/cgroup',
      ['cgroup2fs', 'tmpfs'].includes(node.cgroupFileSystem),
      node.cgroupFileSystem,
      'cgroup2fs or tmpfs',
    )
  },
  refutedBy: {
    'an unsupported distribution': edit =>
      edit.file('/etc/os-release', text => text.replace(/^ID=.*$/m, 'ID=slackware')),
    'no control groups': edit => edit.output('cgroup-fs', () => 'ext2/ext3\n'),
  },
})

invariant('os-memory', {
  title: 'The host has the memory that Kubespray asks for',
  on: allNodes,
  severity: 'normal',
  because: "With less the API server or the kubelet's reservations do not fit, and pods are evicted.",
  source: [
    kubespray('roles/kubernetes/preinstall/defaults/main.yml (minimal_master_memory_mb, minimal_node_memory_mb)'),
  ],
  fix: 'Give the machine more memory.',
  judge: ({ cluster, node, want, check }) => {
    const least = cluster.isControlPlane(node.name) ? want.minimal_master_memory_mb : want.minimal_node_memory_mb
    check.atLeast('MemTotal in MB', Math.floor((node.memory.get('MemTotal') ?? 0) / 1024), least)
  },
  refutedBy: {
    'a small machine': edit => edit.output('meminfo', text => text.replace(/^MemTotal: +\d+/m, 'MemTotal: 900000')),
  },
})

invariant('os-hostname', {
  title: 'The host bears the name of the inventory',
  on: allNodes,
  severity: 'normal',
  because: 'Certificates, leases and static pods are named after it.',
  source: [kubespray('roles/bootstrap_os (override_system_hostname)')],
  fix: remedy.host,
  judge: ({ cluster, node, check }) => check.equal('hostname', node.hostname, cluster.nodeName(node.name)),
  refutedBy: {
    'another name': edit => edit.output('hostname', () => 'localhost\n'),
  },
})

invariant('os-swap-off', {
  title: 'Swap is off, and stays off',
  on: allNodes,
  severity: 'critical',
  because: 'The kubelet refuses to start with swap: after a reboot the node does not come back.',
  source: [preinstall('0010-swapoff.yml'), issue(2348, 3862)],
  fix: remedy.host,
  unless: ({ want }) => (want.kubelet_fail_swap_on ? undefined : 'kubelet_fail_swap_on is false'),
  judge: ({ node, check }) => {
    check.none('active swap', node.swaps)
    check.none(
      'swap in /etc/fstab',
      node.fstab.filter(({ type }) => type === 'swap').map(({ device }) => device),
    )
    check.equal('swap.target', node.swapTarget, 'masked')
  },
  refutedBy: {
    'swap is active': edit => edit.output('proc-swaps', text => `${text}/dev/sda2  partition  2097148  0  -2\n`),
    'swap in fstab': edit => edit.file('/etc/fstab', text => `${text}/dev/sda2 none swap sw 0 0\n`),
    'swap.target is not masked': edit => edit.output('swap-target', () => 'static\n'),
  },
})

invariant('os-selinux', {
  title: 'SELinux is in the state that the inventory asks for',
  on: allNodes,
  severity: 'minor',
  because: 'Enforcing without policies keeps containers from their volumes.',
  source: [preinstall('0080-system-configurations.yml (preinstall_selinux_state)')],
  fix: remedy.host,
  unless: ({ node }) => (isRedHat(node.osRelease) || node.hasSelinux ? undefined : 'this distribution has no SELinux'),
  judge: ({ node, want, check }) =>
    check.equal('getenforce', node.selinux.toLowerCase(), want.preinstall_selinux_state),
  suppliedBy: edit => {
    edit.file('/etc/os-release', () => 'ID=rocky\nID_LIKE="rhel centos fedora"\n')
    edit.addCommand('selinux', 'Permissive\n')
  },
  refutedBy: {
    enforcing: edit => edit.output('selinux', () => 'Enforcing\n'),
  },
})

invariant('os-fapolicyd-off', {
  title: 'fapolicyd does not run',
  on: allNodes,
  severity: 'minor',
  because: "It denies the execution of binaries that no package installed, and Kubespray's are such.",
  source: [preinstall('0080-system-configurations.yml (disable_fapolicyd)')],
  fix: remedy.host,
  unless: ({ node }) => (isRedHat(node.osRelease) ? undefined : 'this distribution has no fapolicyd'),
  judge: ({ node, check }) =>
    check.that('fapolicyd', node.serviceState('fapolicyd') !== 'active', node.serviceState('fapolicyd'), 'inactive'),
  suppliedBy: edit => {
    edit.file('/etc/os-release', () => 'ID=rocky\nID_LIKE="rhel centos fedora"\n')
    edit.addCommand('is-active-fapolicyd', 'inactive\n', 3)
  },
  refutedBy: {
    'it runs': edit => edit.output('is-active-fapolicyd', () => 'active\n', 0),
  },
})

invariant('os-time-sync', {
  title: 'The clocks of all machines agree within 2 s',
  on: wholeCluster,
  severity: 'critical',
  because:
    "Leases, certificates and etcd's elections trust the clock: a node that is behind loses its lease or distrusts a new certificate.",
  source: [preinstall('0081-ntp-configurations.yml'), seed('kubectl cluster-info (the printed times differ by 28 s)')],
  fix: 'Run a time service on every machine: ntp_enabled: true, then cluster.yml --tags bootstrap_os,preinstall.',
  correction:
    "The catalogue also asks for an active time service. Kubespray installs none by default and containers share their host's clock: the service is asked for where ntp_enabled says so.",
  judge: ({ cluster, check }) => {
    const offsets = cluster.nodes.map(node => ({ node: node.name, offset: node.clockOffset / 1000 }))
    const values = offsets.map(({ offset }) => offset)
    check.atMost('seconds between the fastest and the slowest clock', Math.max(...values) - Math.min(...values), 2)
    for (const { name, timeStatus } of cluster.nodes) {
      if (cluster.want(name).ntp_enabled)
        check.equal(`NTPSynchronized on ${name}`, timeStatus.get('NTPSynchronized'), 'yes')
    }
  },
  refutedBy: {
    'one clock is 28 s behind': edit => edit.output('date', text => String(Number(text) - 28)),
    'one clock is a day ahead': edit => edit.output('date', text => String(Number(text) + 86400)),
  },
})

invariant('os-modules', {
  title: 'The bridge and overlay modules are there',
  on: allNodes,
  severity: 'critical',
  because:
    'Without br_netfilter bridged pod traffic bypasses iptables, and Services are dead; without overlay containerd starts no container.',
  source: [
    kubespray('roles/kubernetes/node/tasks/main.yml'),
    kubespray('roles/container-engine/containerd/templates/containerd.service.j2'),
  ],
  fix: remedy.kubelet,
  correction:
    'kubespray-br_netfilter.conf is written only where `modinfo br_netfilter` succeeds: where the module is built in, the sysctl key stands for it.',
  judge: ({ node, check }) => {
    const bridged = node.modules.has('br_netfilter') || node.sysctls.has('net.bridge.bridge-nf-call-iptables')
    check.that('br_netfilter', bridged, 'neither the module nor its sysctl', 'loaded or built in')
    check.that('overlay', node.modules.has('overlay'), [...node.modules].join(', '), 'loaded or built in')
  },
  refutedBy: {
    'overlay is not loaded': edit => edit.output('modules', text => text.replace(/^overlay$/m, '')),
  },
})

invariant('disk-headroom', {
  title: 'No file system that the cluster writes to is filled beyond 85 %',
  on: allNodes,
  severity: 'critical',
  because: 'The kubelet evicts pods at 85 to 90 %; a full disk stops etcd. Backups that are never pruned fill it.',
  source: [issue(6621, 6836)],
  fix: remedy.pruneBackups,
  judge: ({ node, check }) => {
    for (const { mountPoint, percent } of node.diskUse) check.atMost(`percent used of ${mountPoint}`, percent, 85)
  },
  refutedBy: {
    'a disk at 97 %': edit => edit.output('df', text => text.replace(/ \d+% /, ' 97% ')),
  },
})

invariant('os-failed-units', {
  title: 'No systemd unit failed',
  on: allNodes,
  severity: 'advisory',
  because: 'Not every failed unit hurts the cluster, but nobody looks for the one that does.',
  source: ['systemctl --failed'],
  fix: remedy.investigate,
  judge: ({ node, check }) => check.none('failed units', node.failedUnits),
  suppliedBy: edit => edit.output('failed-units', () => ''),
  refutedBy: {
    'a unit failed': edit =>
      edit.output('failed-units', () => 'kubelet.service loaded failed failed Kubernetes Kubelet\n'),
  },
})
