import type { Variables } from './releases/v2.29.ts'
import { variables as v2_29 } from './releases/v2.29.ts'
import { map, number, string } from './variable.ts'

/** What differs between Kubespray releases beyond the defaults of variables. */
export interface Release {
  readonly tag: string
  readonly variables: Variables
  /** The newest Kubernetes version for which the release has checksums, by minor version. */
  readonly newestKubernetes: Readonly<Record<string, string>>
  /** `kube_version` and the names of downloads carry a `v` (v2.27). */
  readonly versionsHaveV: boolean
  /** Tasks whose failure a fresh run ignores on every control plane. */
  readonly ignoredTasks: readonly string[]
  /** Kubespray writes the inventory's hosts into /etc/hosts. */
  readonly managesHosts: boolean
  /** kubeconfigs of a control plane are pointed at 127.0.0.1 (until v2.30); from v2.31 at its own address. */
  readonly controlPlaneKubeconfigsLocal: boolean
  /** `lb-apiserver.kubernetes.local` is among the SANs of the API server and etcd certificates. */
  readonly loadBalancerNameInCertificates: boolean
  /** `ETCD_ENABLE_V2=true` is written, and backups hold `member/`. */
  readonly etcdV2: boolean
  /** Flag of kube-controller-manager for the size of a node's subnet. */
  readonly nodeMaskFlag: string
  readonly containerdConfigVersion: number
  /** The renewal script's `calendar=` line is not quoted (v2.29). */
  readonly renewScriptCalendarBug: boolean
  /** kube-apiserver is given `--apiserver-count`. */
  readonly hasApiserverCount: boolean
}

const v2_29_1: Release = {
  tag: 'v2.29.1',
  variables: v2_29,
  newestKubernetes: { '1.33': '1.33.7', '1.32': '1.32.11', '1.31': '1.31.14' },
  versionsHaveV: false,
  ignoredTasks: [
    'Get currently-deployed etcd version',
    'Check which kube-control nodes are already members of the cluster',
  ],
  managesHosts: false,
  controlPlaneKubeconfigsLocal: true,
  loadBalancerNameInCertificates: true,
  etcdV2: true,
  nodeMaskFlag: 'node-cidr-mask-size-ipv4',
  containerdConfigVersion: 3,
  renewScriptCalendarBug: true,
  hasApiserverCount: true,
}

const v2_29_0: Release = {
  ...v2_29_1,
  tag: 'v2.29.0',
  variables: {
    ...v2_29,
    kube_version: string('1.33.5'),
    etcd_supported_versions: map<string>({ '1.33': '3.5.23', '1.32': '3.5.23', '1.31': '3.5.23' }),
    containerd_version: string('2.1.4'),
    runc_version: string('1.3.2'),
  },
  newestKubernetes: { '1.33': '1.33.5' },
}

const v2_28_1: Release = {
  ...v2_29_1,
  tag: 'v2.28.1',
  variables: {
    ...v2_29,
    kube_version: string('1.32.8'),
    kube_version_min_required: string('1.30.0'),
    etcd_supported_versions: map<string>({ '1.32': '3.5.22', '1.31': '3.5.22', '1.30': '3.5.22' }),
    containerd_version: string('2.0.6'),
    runc_version: string('1.2.6'),
    nginx_image_tag: string('1.27.4-alpine'),
    coredns_supported_versions: map<string>({ '1.32': '1.11.3', '1.31': '1.11.3', '1.30': '1.11.3' }),
    pod_infra_supported_versions: map<string>({ '1.32': '3.10', '1.31': '3.10', '1.30': '3.10' }),
    metrics_server_version: string('0.7.0'),
    flannel_version: string('0.22.0'),
  },
  newestKubernetes: { '1.32': '1.32.8' },
  managesHosts: true,
  renewScriptCalendarBug: false,
}

const v2_28_0: Release = {
  ...v2_28_1,
  tag: 'v2.28.0',
  variables: {
    ...v2_28_1.variables,
    kube_version: string('1.32.5'),
    etcd_supported_versions: map<string>({ '1.32': '3.5.21', '1.31': '3.5.21', '1.30': '3.5.21' }),
    containerd_version: string('2.0.5'),
  },
  newestKubernetes: { '1.32': '1.32.5' },
}

const v2_27_1: Release = {
  ...v2_28_1,
  tag: 'v2.27.1',
  variables: {
    ...v2_28_1.variables,
    kube_version: string('v1.31.9'),
    kube_version_min_required: string('1.29.0'),
    kube_apiserver_bind_address: string('0.0.0.0'),
    kube_controller_manager_bind_address: string('0.0.0.0'),
    etcd_supported_versions: map<string>({ '1.31': '3.5.21', '1.30': '3.5.21', '1.29': '3.5.21' }),
    etcd_snapshot_count: number(10000),
    containerd_version: string('1.7.27'),
    containerd_limit_open_file_num: number(Number.POSITIVE_INFINITY),
    nginx_image_tag: string('1.25.2-alpine'),
    coredns_supported_versions: map<string>({ '1.31': '1.11.3', '1.30': '1.11.3', '1.29': '1.11.3' }),
    pod_infra_supported_versions: map<string>({ '1.31': '3.10', '1.30': '3.10', '1.29': '3.10' }),
  },
  newestKubernetes: { '1.31': '1.31.9' },
  versionsHaveV: true,
  nodeMaskFlag: 'node-cidr-mask-size',
  containerdConfigVersion: 2,
}

const v2_27_0: Release = {
  ...v2_27_1,
  tag: 'v2.27.0',
  variables: {
    ...v2_27_1.variables,
    kube_version: string('v1.31.4'),
    etcd_supported_versions: map<string>({ '1.31': '3.5.16', '1.30': '3.5.16', '1.29': '3.5.16' }),
    containerd_version: string('1.7.24'),
    runc_version: string('1.2.3'),
  },
  newestKubernetes: { '1.31': '1.31.4' },
}

const v2_30_0: Release = {
  ...v2_29_1,
  tag: 'v2.30.0',
  variables: {
    ...v2_29,
    kube_version: string('1.34.3'),
    kube_version_min_required: string('1.32.0'),
    etcd_supported_versions: map<string>({ '1.34': '3.5.26', '1.33': '3.5.26', '1.32': '3.5.26' }),
    containerd_version: string('2.2.1'),
    coredns_supported_versions: map<string>({ '1.34': '1.12.1', '1.33': '1.12.0', '1.32': '1.11.3' }),
    pod_infra_supported_versions: map<string>({ '1.34': '3.10.1', '1.33': '3.10', '1.32': '3.10' }),
    apiserver_loadbalancer_domain_name: string(
      '{{ "localhost" if loadbalancer_apiserver_localhost else loadbalancer_apiserver.address }}',
    ),
  },
  newestKubernetes: { '1.34': '1.34.3' },
  ignoredTasks: ['Get currently-deployed etcd version'],
  loadBalancerNameInCertificates: false,
  renewScriptCalendarBug: false,
}

const v2_31_0: Release = {
  ...v2_30_0,
  tag: 'v2.31.0',
  variables: {
    ...v2_30_0.variables,
    kube_version: string('1.35.4'),
    kube_version_min_required: string('1.33.0'),
    etcd_supported_versions: map<string>({ '1.35': '3.6.10', '1.34': '3.5.29', '1.33': '3.5.29' }),
    containerd_version: string('2.2.3'),
    runc_version: string('1.4.2'),
    nginx_image_tag: string('1.28.2-alpine'),
    coredns_supported_versions: map<string>({ '1.35': '1.12.4', '1.34': '1.12.1', '1.33': '1.12.0' }),
    pod_infra_supported_versions: map<string>({ '1.35': '3.10.1', '1.34': '3.10.1', '1.33': '3.10' }),
    metrics_server_version: string('0.8.1'),
    flannel_version: string('0.28.4'),
  },
  newestKubernetes: { '1.35': '1.35.4' },
  controlPlaneKubeconfigsLocal: false,
  etcdV2: false,
}

const releases: readonly Release[] = [v2_27_0, v2_27_1, v2_28_0, v2_28_1, v2_29_0, v2_29_1, v2_30_0, v2_31_0]

/** Tags of the releases that the suite has data for, oldest first. */
export const knownReleases = releases.map(({ tag }) => tag)

/** The data of a release; undefined for a tag that the suite does not know. */
export function release(tag: string): Release | undefined {
  return releases.find(({ tag: known }) => known === tag)
}
