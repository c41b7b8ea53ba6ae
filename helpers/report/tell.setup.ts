import { describe, test } from 'vitest'
import { onDeclare } from '../invariant/invariant.ts'
import { testName } from './allure-result.ts'
import { note } from './note.ts'
import { isAdvice, isFailure, isUnknown, type VerdictRecord } from './records.ts'
import { toldVerdicts } from './told-verdicts.ts'

/**
 * Runs before each spec: turns every invariant that it declares into one test for each subject. The judging is done, once and
 * purely (helpers/verdict); a test tells its verdict to vitest, and so to JUnit and Allure.
 */
onDeclare(({ id, plane }) => {
  const own = toldVerdicts.get(id) ?? []
  if (own.length === 0) return
  describe(plane, () => {
    for (const verdict of own) test(testName(verdict), ({ skip, annotate }) => tell(verdict, { skip, annotate }))
  })
})

async function tell(
  verdict: VerdictRecord,
  {
    skip,
    annotate,
  }: { skip: (note?: string) => never; annotate: (message: string, type?: string) => Promise<unknown> },
): Promise<void> {
  if (verdict.status === 'pass') return
  if (isFailure(verdict) || isUnknown(verdict)) {
    const error = new Error(note(verdict))
    error.name = isUnknown(verdict) ? 'NotEnoughEvidence' : 'DoesNotConform'
    delete error.stack
    throw error
  }
  await annotate(reasonOf(verdict), isAdvice(verdict) ? 'advice' : verdict.status)
  if (!isAdvice(verdict)) skip(reasonOf(verdict))
}

function reasonOf({ reason, knownGap, waiver, findings, fix }: VerdictRecord): string {
  if (waiver !== undefined) return `waived until ${waiver.expires}: ${waiver.reason}`
  if (knownGap !== undefined) return `known gap: ${knownGap}`
  return reason ?? `${findings.map(({ what, found }) => `${what}: ${found}`).join('; ')}. ${fix}`
}
