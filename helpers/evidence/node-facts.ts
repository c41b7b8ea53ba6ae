import { certificate, servedCertificate, servedCertificates } from '../facts/certificate.ts'
import * as config from '../facts/component-config.ts'
import { coreDnsLoops, nginxLog } from '../facts/container-log.ts'
import { criContainers, criSandboxes } from '../facts/crictl.ts'
import * as etcd from '../facts/etcd.ts'
import * as host from '../facts/host.ts'
import * as http from '../facts/http.ts'
import { envFile, liveSysctls, sysctlFile, systemdProperties } from '../facts/key-values.ts'
import { kubeconfig } from '../facts/kubeconfig.ts'
import { clusterInfo, kubeadmCertificates, kubectlTrace } from '../facts/kubernetes-tools.ts'
import { findListing, lsListing, noSuchFile } from '../facts/listing.ts'
import * as names from '../facts/name-service.ts'
import * as network from '../facts/network.ts'
import { nginxConf, nginxConfDigest } from '../facts/nginx-conf.ts'
import { limitedProcesses, processes } from '../facts/process.ts'
import { establishedSockets, listeningSockets } from '../facts/sockets.ts'
import { kubectlVersion, programVersion } from '../facts/versions.ts'
import { collectionSource } from '../recording/format.ts'
import type { Values } from '../expectations/expectations.ts'
import { Indeterminate, type Reader } from './reader.ts'

/** What one node looks like, fact by fact. Reading a fact cites its source; one that is missing or garbled ends the judgement. */
export class NodeFacts {
  readonly name: string
  readonly #reader: Reader
  readonly #want: Values

  constructor(name: string, reader: Reader, want: Values) {
    this.name = name
    this.#reader = reader
    this.#want = want
  }

  /** Why the node could not be reached; undefined where it answered. */
  get unreachable() {
    return this.#reader.text(collectionSource(this.name), host.collection).unreachable
  }

  /** Why collecting ended on the node before everything was read; undefined where it did not. */
  get cut() {
    const collected = this.#reader.text(collectionSource(this.name), host.collection)
    return collected.unreachable === undefined ? collected.cut : undefined
  }

  // Files, at the places that Kubespray's variables give them.
  get nginxConf() {
    return this.#reader.file(this.name, `${this.#want.nginx_config_dir}/nginx.conf`, nginxConf)
  }
  /** SHA-1 of nginx.conf as recorded: what Kubespray writes into the pod's annotation. */
  get nginxConfContentDigest() {
    return this.#reader.file(this.name, `${this.#want.nginx_config_dir}/nginx.conf`, nginxConfDigest)
  }
  get nginxManifest() {
    return this.staticPod(`${this.#want.loadbalancer_apiserver_pod_name}.yml`)
  }
  get containerdConfig() {
    return this.#reader.file(this.name, `${this.#want.containerd_cfg_dir}/config.toml`, config.containerdConfig)
  }
  get runtimeSpec() {
    return this.#reader.file(this.name, `${this.#want.containerd_cfg_dir}/cri-base.json`, config.runtimeSpec)
  }
  get crictlConfig() {
    return this.#reader.file(this.name, '/etc/crictl.yaml', config.crictlConfig)
  }
  get etcdEnv() {
    return this.#reader.file(this.name, '/etc/etcd.env', envFile)
  }
  get kubeletEnv() {
    return this.#reader.file(this.name, `${this.#want.kube_config_dir}/kubelet.env`, envFile)
  }
  get kubeletConfig() {
    return this.#reader.file(
      this.name,
      `${this.#want.kube_config_dir}/kubelet-config.yaml`,
      config.kubeletConfiguration,
    )
  }
  get schedulerConfig() {
    return this.#reader.file(
      this.name,
      `${this.#want.kube_config_dir}/kubescheduler-config.yaml`,
      config.schedulerConfiguration,
    )
  }
  get kubeadmConfig() {
    return this.#reader.file(this.name, `${this.#want.kube_config_dir}/kubeadm-config.yaml`, config.kubeadmConfig)
  }
  get rootKubeconfig() {
    return this.#reader.file(this.name, '/root/.kube/config', kubeconfig)
  }
  get kubeletClientCertificate() {
    const path = '/var/lib/kubelet/pki/kubelet-client-current.pem'
    const target = this.kubeletPki.get(path)?.linkTarget
    if (target === undefined)
      throw new Indeterminate(`nodes/${this.name}/commands/kubelet-pki-listing`, `${path} is no link on ${this.name}`)
    return this.#reader.file(this.name, target, certificate)
  }
  get osRelease() {
    return this.#reader.file(this.name, '/etc/os-release', envFile)
  }
  get hosts() {
    return this.#reader.file(this.name, '/etc/hosts', names.hostsFile)
  }
  get resolvConf() {
    return this.#reader.file(this.name, this.#want.kube_resolv_conf, names.resolvConf)
  }
  get fstab() {
    return this.#reader.file(this.name, '/etc/fstab', host.fileSystemTable)
  }
  get sysctlFile() {
    return this.#reader.file(this.name, this.sysctlFilePath, sysctlFile)
  }
  get flannelSubnet() {
    return this.#reader.file(this.name, '/run/flannel/subnet.env', envFile)
  }
  get cniConfig() {
    return this.#reader.file(this.name, '/etc/cni/net.d/10-flannel.conflist', config.cniConfig)
  }
  get caCertificate() {
    return this.certificate(`${this.#want.kube_cert_dir}/ca.crt`)
  }
  get etcdCa() {
    return this.certificate(`${this.#want.etcd_cert_dir}/ca.pem`)
  }
  /** The etcd CA in the host's trust store. */
  get trustedEtcdCa() {
    return this.#reader.command(this.name, 'etcd-ca-trusted', certificate)
  }
  certificate(path: string) {
    return this.#reader.file(this.name, path, certificate)
  }
  kubeconfig(file: string) {
    return this.#reader.file(this.name, `${this.#want.kube_config_dir}/${file}`, kubeconfig)
  }
  staticPod(file: string) {
    return this.#reader.file(this.name, `${this.#want.kube_manifest_dir}/${file}`, config.staticPodManifest)
  }
  serviceUnit(unit: string) {
    return this.#reader.fileStatus(this.name, `/etc/systemd/system/${unit}`)
  }
  fileStatus(path: string) {
    return this.#reader.fileStatus(this.name, path)
  }

  // Directory listings.
  get etcKubernetes() {
    return this.#reader.command(this.name, 'etc-kubernetes-listing', findListing)
  }
  get etcdSsl() {
    return this.#reader.command(this.name, 'etcd-ssl-listing', findListing)
  }
  get etcdData() {
    return this.#reader.command(this.name, 'etcd-data-dir', findListing)
  }
  get backups() {
    return this.#reader.command(this.name, 'var-backups', findListing)
  }
  get binaries() {
    return this.#reader.command(this.name, 'bin-listing', lsListing)
  }
  get releases() {
    return this.#reader.command(this.name, 'tmp-releases', lsListing)
  }
  get cniFiles() {
    return this.#reader.command(this.name, 'cni-listing', findListing)
  }
  get kubeletPki() {
    return this.#reader.command(this.name, 'kubelet-pki-listing', findListing)
  }
  /** Below nginx_config_dir; undefined where that folder is not on the node. */
  get nginxFiles() {
    if (this.#reader.exitCode(this.name, 'nginx-dir-listing') !== 1) {
      return this.#reader.command(this.name, 'nginx-dir-listing', findListing)
    }
    return this.#reader.commandErrors(this.name, 'nginx-dir-listing', noSuchFile)
  }

  // Sockets and processes.
  get listening() {
    return this.#reader.command(this.name, 'ss-listen', listeningSockets)
  }
  get connections() {
    return this.#reader.command(this.name, 'ss-established', establishedSockets)
  }
  /** The connections of these processes to that port, and those among them that leave the node. */
  calls(port: number, ...names: string[]) {
    const all = this.connections.filter(
      ({ peerPort, processes }) => peerPort === port && processes.some(({ name }) => names.includes(name)),
    )
    return { all, remote: all.filter(({ peerAddress }) => peerAddress !== '127.0.0.1' && peerAddress !== '::1') }
  }
  get processes() {
    return this.#reader.command(this.name, 'process-args', processes)
  }
  get nginxProcesses() {
    return this.#reader.command(this.name, 'nginx-processes', limitedProcesses)
  }
  get containers() {
    return this.#reader.command(this.name, 'crictl-ps', criContainers)
  }
  get sandboxes() {
    return this.#reader.command(this.name, 'crictl-pods', criSandboxes)
  }
  unit(name: string) {
    return this.#reader.command(this.name, `systemctl-show-${name}`, systemdProperties)
  }
  get failedUnits() {
    return this.#reader.command(this.name, 'failed-units', host.failedUnits)
  }

  // The host.
  get hostname() {
    return this.#reader.command(this.name, 'hostname', host.word)
  }
  get cgroupFileSystem() {
    return this.#reader.command(this.name, 'cgroup-fs', host.word)
  }
  /** `systemctl is-enabled` exits with 1 for a masked unit: the word counts. */
  get swapTarget() {
    return this.#reader.command(this.name, 'swap-target', host.word, [0, 1])
  }
  get swaps() {
    return this.#reader.command(this.name, 'proc-swaps', host.swaps)
  }
  get memory() {
    return this.#reader.command(this.name, 'meminfo', host.memoryInfo)
  }
  /** df exits with 1 where one of the paths is not on the node: what it printed counts. */
  get diskUse() {
    return this.#reader.command(this.name, 'df', host.diskUse, [0, 1])
  }
  /** Ends with 127 on machines without rpm: what dpkg printed counts. */
  get packages() {
    return this.#reader.command(this.name, 'pkg-list', host.installedPackages, [0, 1, 127])
  }
  get modules() {
    return this.#reader.command(this.name, 'modules', host.kernelModules, [0, 1])
  }
  get kernel() {
    return this.#reader.command(this.name, 'uname', host.kernel)
  }
  /** Exits with 127 where SELinux is not installed. */
  get selinux() {
    return this.#reader.command(this.name, 'selinux', host.word)
  }
  get hasSelinux() {
    return this.#reader.exitCode(this.name, 'selinux') !== 127
  }
  serviceState(unit: string) {
    return this.#reader.command(this.name, `is-active-${unit}`, host.word, [0, 1, 2, 3, 4])
  }
  get timeStatus() {
    return this.#reader.command(this.name, 'timedatectl', systemdProperties)
  }
  /** How far the node's clock is ahead of the collecting machine's, in milliseconds, at the moment it was asked. */
  get clockOffset() {
    const collected = this.#reader.text(collectionSource(this.name), host.collection)
    const clock = this.#reader.command(this.name, 'date', host.clock)
    if (collected.unreachable !== undefined) throw new Indeterminate(collectionSource(this.name), collected.unreachable)
    const { startedAt, finishedAt } = collected
    if (clock < startedAt) return clock - startedAt
    return clock > finishedAt ? clock - finishedAt : 0
  }
  get sysctls() {
    return this.#reader.command(this.name, 'sysctl-all', liveSysctls)
  }
  get sysctlFilePath() {
    return this.#reader.command(this.name, 'sysctl-file-path', host.word)
  }
  get localhostAddresses() {
    return this.#reader.command(this.name, 'getent-localhost', names.resolvedAddresses)
  }
  get interfaces() {
    return this.#reader.command(this.name, 'ip-addr', network.networkInterfaces)
  }
  get routes() {
    return this.#reader.command(this.name, 'ip-route', network.routes)
  }
  get flannelForwarding() {
    return this.#reader.command(this.name, 'bridge-fdb-flannel', network.forwardingEntries)
  }
  get serviceRules() {
    return this.#reader.command(this.name, 'iptables-kubernetes-svc', host.iptablesRules)
  }
  get pkiLink() {
    return this.#reader.command(this.name, 'pki-link', host.word)
  }
  /** Devices that NetworkManager is told to leave alone. */
  get unmanagedDevices() {
    return this.#reader.command(this.name, 'networkmanager-unmanaged', host.unmanagedDevices)
  }
  get hasRootKubeconfig() {
    return !this.#reader.isAbsent(this.name, '/root/.kube/config')
  }
  /** Exit status of `ls /usr/bin/runc`. */
  get strayRunc() {
    return this.#reader.exitCode(this.name, 'stray-runc', [0, 1, 2])
  }

  // Versions and digests of what is installed.
  version(program: string) {
    return program === 'kubectl'
      ? this.#reader.command(this.name, 'kubectl-version', kubectlVersion)
      : this.#reader.command(this.name, `${program}-version`, programVersion)
  }
  get binaryDigests() {
    return this.#reader.command(this.name, 'bin-sha256', host.digests, [0, 1])
  }
  get releaseDigests() {
    return this.#reader.command(this.name, 'tmp-releases-sha256', host.digests, [0, 1])
  }
  get nginxConfDigest() {
    const path = `${this.#want.nginx_config_dir}/nginx.conf`
    return this.#reader.command(this.name, 'nginx-conf-sha1', host.digests).get(path)
  }

  // Answers.
  /** `/version` of an API server as this node gets it; the id names the way: `curl-local-version`, `curl-version-<address>`. */
  apiVersion(id: string) {
    return this.#reader.command(this.name, id, http.apiVersion)
  }
  servedCertificate(id: string) {
    return this.#reader.command(this.name, id, servedCertificate)
  }
  verboseHealth(id: string) {
    return this.#reader.command(this.name, id, http.verboseHealth)
  }
  httpCode(id: string) {
    return this.#reader.command(this.name, id, http.httpCode, [0, 7])
  }
  get kubeletHealthy() {
    return this.#reader.command(this.name, 'curl-kubelet-healthz', http.plainHealth)
  }
  get balancerHealth() {
    return this.#reader.command(this.name, 'curl-lb-healthz', http.httpHead)
  }
  get balancerStatus() {
    return this.#reader.command(this.name, 'curl-lb-stub-status', http.stubStatus)
  }
  /** Fingerprints of the certificates that connections held side by side were served through the balancer. */
  get balancerAnswers() {
    return this.#reader.command(this.name, 'balancer-answers', servedCertificates)
  }
  /** curl's exit status against the local balancer port; 7 where nothing listens. */
  get balancerHealthExit() {
    return this.#reader.exitCode(this.name, 'curl-lb-healthz')
  }
  /** Exit status of `nginx -t` in the container: 0, or 1 where nginx refuses its configuration. */
  get nginxTest() {
    return this.#reader.exitCode(this.name, 'nginx-test', [0, 1])
  }
  balancerLog() {
    return this.#reader.text(`api/log-${this.#want.loadbalancer_apiserver_pod_name}-${this.name}.txt`, nginxLog)
  }

  /** Lines in which CoreDNS on this node says that it found a loop. */
  get coreDnsLoops() {
    return this.#reader.text(`api/log-coredns-${this.name}.txt`, coreDnsLoops)
  }

  // etcd.
  get etcdMembers() {
    return this.#reader.command(this.name, 'etcd-member-list', etcd.etcdMembers)
  }
  get etcdMemberTable() {
    return this.#reader.command(this.name, 'etcd-member-list-table', etcd.etcdMemberTable)
  }
  get etcdStatus() {
    return this.#reader.command(this.name, 'etcd-endpoint-status', etcd.etcdStatus)
  }
  get etcdClusterStatus() {
    return this.#reader.command(this.name, 'etcd-endpoint-status-cluster', etcd.etcdStatus)
  }
  get etcdHealth() {
    return this.#reader.command(this.name, 'etcd-endpoint-health', etcd.etcdHealth, [0, 1])
  }
  get etcdAlarms() {
    return this.#reader.command(this.name, 'etcd-alarm-list', etcd.etcdAlarms)
  }
  get etcdSnapshots() {
    return this.#reader.command(this.name, 'etcd-snapshot-status', etcd.etcdSnapshots, [0, 1])
  }
  etcdRefusal(id: 'etcd-no-client-cert' | 'etcd-plaintext') {
    return this.#reader.command(this.name, id, http.curlResult)
  }

  // kubeadm and kubectl.
  get kubeadmCertificates() {
    return this.#reader.command(this.name, 'kubeadm-certs', kubeadmCertificates)
  }
  get clusterInfo() {
    return this.#reader.command(this.name, 'kubectl-cluster-info', clusterInfo)
  }
  get clusterInfoTrace() {
    return this.#reader.commandErrors(this.name, 'kubectl-cluster-info', kubectlTrace)
  }

  /** The address of the interface that the default route leaves by: `ansible_default_ipv4.address`. */
  get defaultAddress(): string | undefined {
    const device = this.routes.find(({ dst }) => dst === 'default')?.dev
    return this.interfaces.find(({ ifname }) => ifname === device)?.addr_info.find(({ family }) => family === 'inet')
      ?.local
  }
}
