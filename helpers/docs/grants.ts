import { stringify } from 'yaml'
import { apiProbes, CLUSTER_INFO, podLog } from '../evidence/api-probes.ts'
import { ROOT_SHELL } from '../collect/shell.ts'

/** The sudoers lines that suffice for a user to collect everything. */
export function sudoers(user: string): string {
  return [
    `# /etc/sudoers.d/kubespray-conformance: check it with visudo -cf.`,
    '# The evidence is read by one script that root\'s shell takes from standard input. Whoever may run that shell may do',
    '# anything as root: give it to the account that deploys with Ansible, which can do the same already, and to no other.',
    `Defaults:${user} !requiretty`,
    `${user} ALL=(root) NOPASSWD: ${ROOT_SHELL}`,
    '',
  ].join('\n')
}

/** The ClusterRole that suffices to read the API: exactly what the probes ask for, and no Secret. */
export function clusterRole(): string {
  const paths = [...apiProbes.map(({ path, kind }) => ({ path, verb: kind === 'list' ? 'list' : 'get' })), { path: CLUSTER_INFO, verb: 'list' }, { path: podLog('POD'), verb: 'get' }]
  const urls = new Set<string>()
  const rules = new Map<string, { group: string; verb: string; resources: Set<string> }>()
  for (const { path, verb } of paths) {
    const resource = resourceOf(path)
    if (resource === undefined) {
      urls.add(path.split('?')[0] ?? '')
      continue
    }
    const asked = resource.isMetrics ? 'list' : verb
    const key = `${resource.group} ${asked}`
    const rule = rules.get(key) ?? { group: resource.group, verb: asked, resources: new Set<string>() }
    rules.set(key, { ...rule, resources: rule.resources.add(resource.name) })
  }
  return stringify({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'kubespray-conformance' },
    rules: [
      ...[...rules.values()].map(({ group, verb, resources }) => ({ apiGroups: [group], resources: [...resources], verbs: [verb] })),
      { nonResourceURLs: [...urls], verbs: ['get'] },
    ],
  })
}

/** The API group and resource that a path reads; undefined for what is no resource. */
function resourceOf(path: string): { group: string; name: string; isMetrics: boolean } | undefined {
  const found = /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)\/(?:namespaces\/[^/]+\/)?([^/?]+)(?:\/[^/]+\/(log))?/.exec(path)
  if (!found) return undefined
  const [, group = '', resource = '', log] = found
  return { group, name: log === undefined ? resource : `${resource}/${log}`, isMetrics: group === 'metrics.k8s.io' }
}
