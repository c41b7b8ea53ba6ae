import { Cluster } from '../evidence/cluster.ts'
import { Indeterminate, Reader } from '../evidence/reader.ts'
import { type Expectations, UnknownVariable } from '../expectations/expectations.ts'
import type { CataloguedInvariant } from '../invariant/catalogue.ts'
import { Check } from '../invariant/check.ts'
import { CLUSTER } from '../invariant/invariant.ts'
import type { Recording } from '../recording/recording.ts'
import type { Verdict } from './verdict.ts'

/** The subjects of an invariant: the nodes that it is about, or the cluster. */
export function subjectsOf(invariant: CataloguedInvariant, expectations: Expectations): string[] {
  return invariant.on.kind === 'cluster' ? [CLUSTER] : invariant.on.of(expectations)
}

/** Judges one invariant on one subject: a pure function of the evidence that it reads and the expectations. */
export function judgeOne(
  invariant: CataloguedInvariant,
  subject: string,
  recording: Recording,
  expectations: Expectations,
): Verdict {
  const reader = new Reader(recording)
  const cluster = new Cluster(reader, expectations)
  const check = new Check()
  const verdict = (rest: Pick<Verdict, 'status'> & Partial<Verdict>): Verdict => ({
    invariant,
    subject,
    findings: [],
    citations: reader.citations,
    variables: cluster.readVariables,
    ...rest,
  })
  const host = subject === CLUSTER ? (expectations.controlPlanes[0] ?? '') : subject
  try {
    const context = { cluster, want: cluster.want(host), node: cluster.node(host), check }
    const reason = invariant.unless?.(context)
    if (reason !== undefined) return verdict({ status: 'not applicable', reason })
    invariant.judge(context)
  } catch (error) {
    if (check.findings.length > 0) return verdict({ status: 'fail', findings: check.findings })
    return verdict({ status: 'indeterminate', reason: reasonOf(error) })
  }
  if (check.findings.length > 0) return verdict({ status: 'fail', findings: check.findings })
  if (check.comparisons === 0) return verdict({ status: 'indeterminate', reason: 'there was nothing to compare' })
  return verdict({ status: 'pass' })
}

function reasonOf(error: unknown): string {
  if (error instanceof Indeterminate || error instanceof UnknownVariable) return error.message
  return `the evidence has not the expected shape: ${(error as Error).message}`
}

/** Judges every invariant on every subject that it is about: subject by subject, so that a large cluster's evidence is read in turn. */
export function judgeAll(
  invariants: readonly CataloguedInvariant[],
  recording: Recording,
  expectations: Expectations,
): Verdict[] {
  const pairs = invariants.flatMap(invariant =>
    subjectsOf(invariant, expectations).map(subject => ({ invariant, subject })),
  )
  const bySubject = new Map<string, number[]>()
  for (const [index, { subject }] of pairs.entries()) {
    const known = bySubject.get(subject)
    if (known) known.push(index)
    else bySubject.set(subject, [index])
  }
  const verdicts: Verdict[] = []
  for (const indexes of bySubject.values()) {
    for (const index of indexes) {
      const pair = pairs[index]
      if (pair) verdicts[index] = judgeOne(pair.invariant, pair.subject, recording, expectations)
    }
  }
  return verdicts
}

/** Judges everything, and folds failures into their root causes. */
export function judge(...cluster: Parameters<typeof judgeAll>): Verdict[] {
  return fold(judgeAll(...cluster))
}

/** The invariant that fails on a node which could not be reached. */
const REACHED = 'inv-node-recorded'

/** Says of each verdict that is not good which failing one explains it: on its own subject, else of the cluster, else on another node. */
export function fold(verdicts: readonly Verdict[]): Verdict[] {
  const failing = new Map<string, string[]>()
  for (const { invariant, subject, status } of verdicts) {
    if (status === 'fail') failing.set(invariant.id, [...(failing.get(invariant.id) ?? []), subject])
  }
  return verdicts.map(verdict => {
    if (verdict.status !== 'fail' && verdict.status !== 'indeterminate') return verdict
    // What could not be read of a node that could not be reached has that one cause.
    if (verdict.status === 'indeterminate' && failing.get(REACHED)?.includes(verdict.subject)) {
      return { ...verdict, impliedBy: `${REACHED}@${verdict.subject}` }
    }
    const id = verdict.invariant.dependsOn?.find(other => failing.has(other))
    const subjects = failing.get(id ?? '') ?? []
    const subject = [verdict.subject, CLUSTER].find(one => subjects.includes(one)) ?? subjects[0]
    return subject === undefined ? verdict : { ...verdict, impliedBy: `${id ?? ''}@${subject}` }
  })
}
