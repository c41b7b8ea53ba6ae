import { readFileSync } from 'node:fs'
import { inject } from 'vitest'
import type { Report, VerdictRecord } from './records.ts'

/** The verdicts that the specs tell, by invariant. A module of its own: the set-up file beside it runs for each spec, this once. */
export const toldVerdicts = new Map<string, VerdictRecord[]>()
for (const verdict of (JSON.parse(readFileSync(inject('verdictsFile'), 'utf8')) as Report).verdicts) {
  const own = toldVerdicts.get(verdict.id)
  if (own === undefined) toldVerdicts.set(verdict.id, [verdict])
  else own.push(verdict)
}
