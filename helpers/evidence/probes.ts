import { UnknownVariable, type Values } from '../expectations/expectations.ts'
import { inUrl } from './shell-words.ts'

/** A command that is run on a node: POSIX sh, nothing is written. Its output becomes `commands/<id>`, which NodeFacts reads. */
export interface Probe {
  readonly id: string
  readonly command: string
  /** Seconds after which it is ended. */
  readonly limit: number
  /** It says the truth only to root: without root it is not run, and what reads it is indeterminate. */
  readonly root: boolean
}

/** A file whose status and content are read. `secret` files are never opened: status and digest only, or the status alone. */
export interface FileProbe {
  /** A path, or a pattern of the shell (`*`, `?`) for names that can not be known before. */
  readonly path: string
  readonly keep: 'content' | 'digest' | 'status'
  readonly root: boolean
}

/** What the probes of a node depend on: its variables, and the API servers and etcd members as the inventory gives them. */
export interface ProbedNode {
  readonly want: Values
  /** What others reach it by: `main_access_ip`. */
  readonly address: string
  readonly isControlPlane: boolean
  readonly isEtcdMember: boolean
  readonly isWorker: boolean
  /** Addresses of the control planes. */
  readonly apiServers: readonly string[]
  readonly etcdHosts: readonly string[]
}

export interface NodeProbes {
  readonly commands: readonly Probe[]
  readonly files: readonly FileProbe[]
}

/** Seconds for a command that is not known to be slow: longer than curl's own limit of 5. */
const LIMIT = 7
const FIND = `-printf '%M %u %g %s %T@ %p\\n'`
const FIND_LINKS = `-printf '%M %u %g %s %T@ %p -> %l\\n'`
const NOT_SECRET = { keep: 'content', root: false } as const

/**
 * The probes of one node, in the order in which they are run.
 * Those whose path hangs on a variable that can not be known are left out: what reads them is indeterminate anyway.
 */
export function probesOf(node: ProbedNode): NodeProbes {
  const { want } = node
  const commands: Probe[] = []
  const run = (id: string, command: () => string, { root = false, limit = LIMIT } = {}) => {
    const text = known(command)
    if (text !== undefined) commands.push({ id, command: text, limit, root })
  }
  const asRoot = { root: true }
  run('date', () => 'date -u +%s.%N')
  hostProbes(run, want)
  listings(run, node)

  // Sockets and processes: their owners are told to root only.
  run('ss-listen', () => 'ss -H -tulnp', asRoot)
  run('ss-established', () => 'ss -H -tnp state established', asRoot)
  run('process-args', () => `for n in ${DAEMONS}; do ${EACH_PROCESS} echo "== $n $p"; ${ARGUMENTS}; done; done`)
  run('nginx-processes', () => NGINX_PROCESSES)
  for (const unit of ['containerd', 'etcd', 'kubelet'])
    run(`systemctl-show-${unit}`, () => `systemctl show ${unit} -p ${UNIT_PROPERTIES[unit] ?? ''}`)
  run('failed-units', () => 'systemctl --failed --no-legend --plain')
  for (const unit of ['docker', 'crio', 'fapolicyd', 'k8s-certs-renew.timer'])
    run(`is-active-${unit}`, () => `systemctl is-active ${unit}`)
  run('crictl-ps', () => 'crictl ps -a -o json', asRoot)
  run('crictl-pods', () => 'crictl pods -o json', asRoot)

  // Versions and digests of what is installed.
  for (const [program, question] of Object.entries(VERSION_QUESTIONS))
    run(`${program}-version`, () => `${want.bin_dir}/${program} ${question}`)
  run('bin-sha256', () => `cd ${want.bin_dir} && sha256sum * 2>/dev/null`, { limit: 60 })
  run('tmp-releases-sha256', () => `cd ${want.local_release_dir} && sha256sum * 2>/dev/null`, {
    limit: 60,
    root: true,
  })
  run('stray-runc', () => 'ls /usr/bin/runc')

  answers(run, node)
  if (node.isWorker) balancer(run, node)
  if (node.isEtcdMember) etcd(run, node)
  if (node.isControlPlane) {
    run('kubeadm-certs', () => `${want.bin_dir}/kubeadm certs check-expiration -o json 2>/dev/null`, asRoot)
    // Its discovery cache would be written to the node.
    run('kubectl-cluster-info', () => `${want.bin_dir}/kubectl cluster-info -v=6 --cache-dir=/dev/null`, asRoot)
  }
  return { commands, files: filesOf(node) }
}

type Run = (id: string, command: () => string, options?: { root?: boolean; limit?: number }) => void

const DAEMONS = 'kube-apiserver kube-controller kube-scheduler kubelet kube-proxy etcd containerd flanneld'
const EACH_PROCESS = 'for p in $(pgrep -x $(echo $n | cut -c1-15)); do'
const ARGUMENTS = 'tr "\\0" "\\n" </proc/$p/cmdline'
const NGINX_PROCESSES =
  'for p in $(pgrep -x nginx); do echo "== $p $(tr "\\0" " " </proc/$p/cmdline)"; grep "open files" /proc/$p/limits; done'

const UNIT_PROPERTIES: Readonly<Record<string, string>> = {
  containerd:
    'ActiveState,SubState,UnitFileState,LimitNOFILE,OOMScoreAdjust,Delegate,Restart,ActiveEnterTimestamp,NRestarts',
  etcd: 'ActiveState,SubState,UnitFileState,LimitNOFILE,Restart,RestartUSec,ActiveEnterTimestamp,NRestarts,Type,EnvironmentFiles,ExecStart',
  kubelet: 'ActiveState,SubState,UnitFileState,Restart,ActiveEnterTimestamp,NRestarts,EnvironmentFiles',
}

const VERSION_QUESTIONS: Readonly<Record<string, string>> = {
  containerd: '--version',
  etcd: '--version',
  etcdctl: 'version',
  kubeadm: 'version -o short',
  kubectl: 'version --client -o json',
  kubelet: '--version',
}

/** Packages that Kubespray installs, and those that stand in its way. Source: roles/kubernetes/preinstall/vars. */
const PACKAGES =
  "dpkg-query -W -f '${Package} ${Version} ${Status}\\n' 2>/dev/null | grep -E '^(conntrack|socat|ebtables|ipset|iptables|openssl|rsync|curl|ipvsadm|chrony|systemd-timesyncd|runc|containerd) '; rpm -q conntrack-tools socat ipset iptables openssl rsync curl 2>/dev/null"

/** Kernel parameters that Kubespray sets. Source: roles/kubernetes/preinstall/tasks/0080-system-configurations.yml. */
const SYSCTLS =
  "sysctl -a 2>/dev/null | grep -E '^(net\\.ipv4\\.(ip_forward|ip_local_reserved_ports)|net\\.bridge\\.|kernel\\.(keys\\.root_max|panic)|vm\\.(overcommit_memory|panic_on_oom|swappiness)|fs\\.(nr_open|file-max))'"

/** Where roles/etcd/tasks/upd_ca_trust.yml puts the etcd CA, by distribution. */
const TRUSTED_ETCD_CA = [
  '/usr/local/share/ca-certificates/etcd-ca.crt',
  '/etc/pki/ca-trust/source/anchors/etcd-ca.crt',
  '/etc/pki/trust/anchors/etcd-ca.pem',
  '/etc/ssl/certs/etcd-ca.pem',
]

function hostProbes(run: Run, want: Values): void {
  run('hostname', () => 'hostname')
  run('uname', () => 'uname -a')
  run('cgroup-fs', () => 'stat -fc %T /sys/fs/cgroup')
  run('swap-target', () => 'systemctl is-enabled swap.target')
  run('proc-swaps', () => 'cat /proc/swaps')
  run('meminfo', () => 'head -5 /proc/meminfo')
  run('df', () => `df -P / ${want.etcd_data_dir} /var/lib/containerd ${want.etcd_backup_prefix} 2>/dev/null`)
  run('pkg-list', () => PACKAGES)
  run('modules', () => 'cat /proc/modules | head -100; ls /sys/module | grep -E "br_netfilter|overlay|nf_conntrack"')
  run('selinux', () => 'getenforce')
  run('timedatectl', () => 'timedatectl show')
  run('sysctl-all', () => SYSCTLS, { root: true })
  run('sysctl-file-path', () => `readlink -f ${want.sysctl_file_path}`)
  run('getent-localhost', () => 'getent ahosts localhost')
  run('ip-addr', () => 'ip -j addr')
  run('ip-route', () => 'ip -j route')
  run('bridge-fdb-flannel', () => 'bridge -j fdb show dev flannel.1')
  run(
    'iptables-kubernetes-svc',
    () => `iptables-save -t nat | grep -E '${firstAddress(want.kube_service_addresses)}/32|default/kubernetes'`,
    { root: true },
  )
  run('networkmanager-unmanaged', () => 'grep -rhs unmanaged-devices /etc/NetworkManager')
  run(
    'etcd-ca-trusted',
    () => `for f in ${TRUSTED_ETCD_CA.join(' ')}; do [ -f $f ] && exec cat $f; done; echo "no etcd-ca" >&2; exit 1`,
  )
}

/** `kube_apiserver_ip`: the first address of the network of Services. */
function firstAddress(network: string): string {
  return network.replace(/\.\d+\/\d+$/, '.1')
}

function listings(run: Run, { want, isEtcdMember }: ProbedNode): void {
  const asRoot = { root: true }
  run('etc-kubernetes-listing', () => `find ${want.kube_config_dir} ${FIND_LINKS}`, asRoot)
  run('etcd-ssl-listing', () => `find ${want.etcd_config_dir} ${FIND_LINKS}`, asRoot)
  if (isEtcdMember) {
    run('etcd-data-dir', () => `find ${want.etcd_data_dir} -printf '%M %u %g %s %p\\n'`, asRoot)
  }
  run('var-backups', () => `find ${want.etcd_backup_prefix} -maxdepth 5 ${FIND}`, asRoot)
  run('bin-listing', () => `ls -la ${want.bin_dir}`)
  run('tmp-releases', () => `ls -la ${want.local_release_dir}`, asRoot)
  run('cni-listing', () => `find /etc/cni /opt/cni ${FIND}`)
  run('kubelet-pki-listing', () => `find /var/lib/kubelet/pki ${FIND_LINKS}`, asRoot)
  run('nginx-dir-listing', () => `find ${want.nginx_config_dir} ${FIND}`)
  run('nginx-conf-sha1', () => `sha1sum ${want.nginx_config_dir}/nginx.conf`, asRoot)
  run('pki-link', () => `readlink ${want.kube_cert_compat_dir}`)
}

/** What answers on the node, and what it reaches from its own loopback. */
function answers(run: Run, { want, address, apiServers }: ProbedNode): void {
  const curl = 'curl -s --max-time 5'
  const code = '-o /dev/null -w "%{http_code}"'
  const api = () => want.kube_apiserver_port
  run('curl-kubelet-healthz', () => `${curl} http://127.0.0.1:10248/healthz`)
  run('curl-kube-proxy-healthz', () => `${curl} ${code} http://127.0.0.1:10256/healthz`)
  run('curl-kcm-healthz', () => `${curl.replace('-s', '-sk')} ${code} https://localhost:10257/healthz`)
  run('curl-scheduler-healthz', () => `${curl.replace('-s', '-sk')} ${code} https://localhost:10259/healthz`)
  const health = () => `http://127.0.0.1:${want.loadbalancer_apiserver_healthcheck_port ?? 8081}`
  run('curl-lb-healthz', () => `curl -sI --max-time 5 ${health()}/healthz`)
  run('curl-lb-stub-status', () => `${curl} ${health()}/stub_status`)
  const open = 'curl -sk --max-time 5'
  run('curl-local-version', () => `${open} https://127.0.0.1:${api()}/version`)
  run('curl-localhost-version', () => `${open} https://localhost:${api()}/version`)
  const verified = () => `curl -s --cacert ${want.kube_cert_dir}/ca.crt --max-time 5`
  run('curl-local-version-verified', () => `${verified()} https://127.0.0.1:${api()}/version`)
  run('curl-localhost-verified', () => `${verified()} https://localhost:${api()}/version`)
  run('curl-livez', () => `${open} "https://127.0.0.1:${api()}/livez?verbose"`)
  run('curl-readyz', () => `${open} "https://127.0.0.1:${api()}/readyz?verbose"`)
  run('curl-self-version', () => `${open} https://${inUrl(address)}:${api()}/version`)
  run(
    'apiserver-cert-served',
    () => `${served(`127.0.0.1:${api()}`)} | openssl x509 -noout -fingerprint -sha256 -enddate -ext subjectAltName`,
  )
  for (const server of apiServers) {
    run(`curl-version-${server}`, () => `${open} https://${inUrl(server)}:${api()}/version`)
    run(
      `cert-served-${server}`,
      () => `${served(`${inUrl(server)}:${api()}`)} | openssl x509 -noout -fingerprint -sha256`,
    )
  }
}

function balancer(run: Run, { want, apiServers }: ProbedNode): void {
  // 126: no such container, so that it can not be mistaken for nginx's own refusal (1).
  run(
    'nginx-test',
    () =>
      `c=$(crictl ps -q --name "^${want.loadbalancer_apiserver_pod_name}$" | head -1); [ -n "$c" ] || exit 126; crictl exec "$c" nginx -t`,
    { root: true },
  )
  // Connections that are held side by side, so that least_conn must spread them, until every API server was seen.
  const many = 2 * apiServers.length + 2
  const one = `(sleep 1 | timeout 5 openssl s_client -connect 127.0.0.1:${want.kube_apiserver_port} 2>/dev/null | openssl x509 -noout -fingerprint -sha256) &`
  run(
    'balancer-answers',
    () =>
      `a=; for round in 1 2 3 4 5; do a=$(echo "$a"; for i in $(seq ${many}); do ${one} done; wait); [ $(echo "$a" | sort -u | grep -c .) -ge ${apiServers.length} ] && break; done; echo "$a" | grep .`,
    { limit: 30 },
  )
}

function etcd(run: Run, { want, address }: ProbedNode): void {
  const asRoot = { root: true, limit: 20 }
  const ctl = () => `${want.bin_dir}/etcdctl.sh`
  run('etcd-member-list', () => `${ctl()} member list -w json`, asRoot)
  run('etcd-member-list-table', () => `${ctl()} member list -w table`, asRoot)
  run('etcd-endpoint-status', () => `${ctl()} endpoint status -w json`, asRoot)
  run('etcd-endpoint-status-cluster', () => `${ctl()} endpoint status --cluster -w json`, asRoot)
  run('etcd-endpoint-health', () => `${ctl()} endpoint health --cluster -w json`, asRoot)
  run('etcd-alarm-list', () => `${ctl()} alarm list`, asRoot)
  run(
    'etcd-snapshot-status',
    () =>
      `for d in ${want.etcd_backup_prefix}/etcd-*; do echo "== $d"; etcdutl snapshot status "$d/snapshot.db" -w json; done`,
    { root: true, limit: 30 },
  )
  const client = `${inUrl(address)}:2379`
  run('etcd-no-client-cert', () => `curl -sk --max-time 5 https://${client}/health; echo rc=$?`)
  run('etcd-plaintext', () => `curl -s --max-time 5 http://${client}/health; echo rc=$?`)
  run('etcd-cert-served', () => `${served(client)} | openssl x509 -noout -fingerprint -sha256 -enddate`)
}

function served(address: string): string {
  return `echo | timeout 5 openssl s_client -connect ${address} 2>/dev/null`
}

function filesOf({ want, etcdHosts }: ProbedNode): FileProbe[] {
  const files: FileProbe[] = []
  const add = (how: Omit<FileProbe, 'path'>, ...paths: (() => string)[]) => {
    for (const path of paths.map(known)) if (path !== undefined) files.push({ path, ...how })
  }
  const asRoot = { keep: 'content', root: true } as const
  const config = (name: string) => () => `${want.kube_config_dir}/${name}`
  add(
    NOT_SECRET,
    () => '/etc/os-release',
    () => '/etc/hosts',
    () => '/etc/hostname',
    () => '/etc/fstab',
  )
  add(
    NOT_SECRET,
    () => want.kube_resolv_conf,
    () => want.sysctl_file_path,
    () => '/etc/crictl.yaml',
  )
  add(
    NOT_SECRET,
    () => '/etc/cni/net.d/10-flannel.conflist',
    () => '/run/flannel/subnet.env',
  )
  for (const unit of ['containerd', 'etcd', 'kubelet']) add(NOT_SECRET, () => `/etc/systemd/system/${unit}.service`)
  add(
    asRoot,
    () => `${want.containerd_cfg_dir}/config.toml`,
    () => `${want.containerd_cfg_dir}/cri-base.json`,
    () => `${want.containerd_cfg_dir}/certs.d/*/hosts.toml`,
    () => '/etc/etcd.env',
    () => `${want.nginx_config_dir}/nginx.conf`,
  )
  const manifests = ['kube-apiserver.yaml', 'kube-controller-manager.yaml', 'kube-scheduler.yaml']
  for (const name of manifests) add(asRoot, () => `${want.kube_manifest_dir}/${name}`)
  add(asRoot, () => `${want.kube_manifest_dir}/${want.loadbalancer_apiserver_pod_name}.yml`)
  for (const name of CONFIGURATIONS) add(asRoot, config(name))
  add(
    asRoot,
    () => '/root/.kube/config',
    () => '/var/lib/kubelet/config.yaml',
  )
  add(
    asRoot,
    () => '/var/lib/kubelet/pki/kubelet-client-current.pem',
    () => '/var/lib/kubelet/pki/kubelet.crt',
  )
  for (const name of CERTIFICATES) add(asRoot, () => `${want.kube_cert_dir}/${name}`)
  add(
    asRoot,
    () => `${want.etcd_cert_dir}/ca.pem`,
    () => `${want.etcd_cert_dir}/node-*.pem`,
  )
  for (const host of etcdHosts) {
    for (const kind of ['admin', 'member']) {
      add(asRoot, () => `${want.etcd_cert_dir}/${kind}-${host}.pem`)
      add({ keep: 'status', root: true }, () => `${want.etcd_cert_dir}/${kind}-${host}-key.pem`)
    }
  }
  add(
    { keep: 'digest', root: true },
    () => `${want.bin_dir}/etcdctl.sh`,
    () => `${want.bin_dir}/k8s-certs-renew.sh`,
  )
  return files.sort((a, b) => Number(a.root) - Number(b.root))
}

const CONFIGURATIONS = [
  'admin.conf',
  'super-admin.conf',
  'controller-manager.conf',
  'scheduler.conf',
  'kubelet.conf',
  'kubelet.env',
  'kubelet-config.yaml',
  'kubescheduler-config.yaml',
  'kubeadm-config.yaml',
  'kubeadm-client.conf',
  'kubeadm-images.yaml',
]

const CERTIFICATES = [
  'ca.crt',
  'apiserver.crt',
  'apiserver-kubelet-client.crt',
  'front-proxy-ca.crt',
  'front-proxy-client.crt',
]

function known<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof UnknownVariable) return undefined
    throw error
  }
}
