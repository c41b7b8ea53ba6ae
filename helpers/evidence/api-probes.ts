/** A list or text that is read from the API: GET only, and never a Secret. Its answer becomes `api/<name>`, which ApiFacts reads. */
export interface ApiProbe {
  readonly name: string
  readonly path: string
  /** Lists come in pages; the rest in one answer. */
  readonly kind: 'list' | 'object' | 'text'
}

const list = (name: string, path: string): ApiProbe => ({ name: `${name}.json`, path, kind: 'list' })

/** Leases come first: they are judged at the moment of reading. */
export const apiProbes: readonly [ApiProbe, ...ApiProbe[]] = [
  list('leases', '/apis/coordination.k8s.io/v1/leases'),
  list('nodes', '/api/v1/nodes'),
  list('pods', '/api/v1/namespaces/kube-system/pods'),
  list('daemonsets', '/apis/apps/v1/namespaces/kube-system/daemonsets'),
  list('deployments', '/apis/apps/v1/namespaces/kube-system/deployments'),
  list('services', '/api/v1/services'),
  list('endpointslices', '/apis/discovery.k8s.io/v1/endpointslices'),
  list('configmaps', '/api/v1/namespaces/kube-system/configmaps'),
  list('events', '/api/v1/namespaces/kube-system/events'),
  list('apiservices', '/apis/apiregistration.k8s.io/v1/apiservices'),
  list('clusterrolebindings', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'),
  list('priorityclasses', '/apis/scheduling.k8s.io/v1/priorityclasses'),
  { name: 'metrics-nodes.json', path: '/apis/metrics.k8s.io/v1beta1/nodes', kind: 'object' },
  { name: 'version.json', path: '/version', kind: 'object' },
  { name: 'readyz.txt', path: '/readyz?verbose', kind: 'text' },
]

/** `cluster-info` lies in a namespace of its own; it is joined to the ConfigMaps of kube-system. */
export const CLUSTER_INFO = '/api/v1/namespaces/kube-public/configmaps'

/** Bytes of a container's log that are read: more than kubelet keeps in one file (containerLogMaxSize, 10Mi). */
const MOST_LOG = 16 * 1024 * 1024

/** The log of a pod in kube-system since its container started. */
export function podLog(pod: string): string {
  return `/api/v1/namespaces/kube-system/pods/${pod}/log?limitBytes=${MOST_LOG}`
}

/** Whether a log was cut at the limit. */
export function isCut(log: string): boolean {
  return Buffer.byteLength(log) >= MOST_LOG
}
