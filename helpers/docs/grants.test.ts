import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { apiProbes, podLog } from '../evidence/api-probes.ts'
import { clusterRole, sudoers } from './grants.ts'

interface Rule {
  readonly apiGroups?: readonly string[]
  readonly resources?: readonly string[]
  readonly nonResourceURLs?: readonly string[]
  readonly verbs: readonly string[]
}
const { rules } = parse(clusterRole()) as { rules: Rule[] }

/** Whether the role lets a path be read, as the API server decides. */
function allows(path: string): boolean {
  const [, group = '', resource = '', sub] =
    /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)\/(?:namespaces\/[^/]+\/)?([^/?]+)(?:\/[^/]+\/(\w+))?/.exec(path) ?? []
  if (resource === '') return rules.some(({ nonResourceURLs = [] }) => nonResourceURLs.includes(path.split('?')[0] ?? ''))
  const [name, verb] = sub === undefined ? [resource, 'list'] : [`${resource}/${sub}`, 'get']
  return rules.some(
    ({ apiGroups = [], resources = [], verbs }) => apiGroups.includes(group) && resources.includes(name) && verbs.includes(verb),
  )
}

test('the ClusterRole suffices for every path that is read', () => {
  expect([...apiProbes.map(({ path }) => path), podLog('nginx-proxy')].filter(path => !allows(path))).toEqual([])
})

test('it gives nothing else: no Secret, no wildcard, nothing but reading', () => {
  expect(clusterRole()).not.toMatch(/secret|\*/i)
  expect([...new Set(rules.flatMap(({ verbs }) => verbs))].sort()).toEqual(['get', 'list'])
})

test('the sudoers lines name the user and the one command (a twin proves that they suffice)', () => {
  expect(sudoers('ops')).toMatch(/^Defaults:ops !requiretty\nops ALL=\(root\) NOPASSWD: \/bin\/sh -s\n$/m)
})
