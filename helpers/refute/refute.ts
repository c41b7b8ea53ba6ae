import type { Expectations } from '../expectations/expectations.ts'
import type { Overrides } from '../expectations/overrides.ts'
import type { CataloguedInvariant } from '../invariant/catalogue.ts'
import { Edit } from '../invariant/edit.ts'
import { CLUSTER, type Refutation } from '../invariant/invariant.ts'
import type { Evidence, Source } from '../recording/format.ts'
import type { Recording } from '../recording/recording.ts'
import { expectationsFor, isInput } from '../targets/recorded.ts'
import { judgeAll, judgeOne, subjectsOf } from '../verdict/judge.ts'
import { keyOf, type Verdict } from '../verdict/verdict.ts'

/** A healthy recording, judged: what every refutation starts from. */
export class Baseline {
  readonly invariants: readonly CataloguedInvariant[]
  readonly recording: Recording
  readonly expectations: Expectations
  readonly overrides: Overrides
  readonly verdicts: ReadonlyMap<string, Verdict>

  constructor(
    invariants: readonly CataloguedInvariant[],
    recording: Recording,
    overrides: Overrides,
    known?: ReadonlyMap<string, Verdict>,
  ) {
    this.invariants = invariants
    this.recording = recording
    this.overrides = overrides
    this.expectations = expectationsFor(recording, overrides)
    this.verdicts =
      known ?? new Map(judgeAll(invariants, recording, this.expectations).map(verdict => [keyOf(verdict), verdict]))
  }

  /**
   * The verdicts after an edit that differ in status from those before. A judgement is a function of what it reads and every
   * read is cited: only those that cite an edited source are judged again, or all of them where the inventory was edited.
   */
  after(changes: ReadonlyMap<Source, Evidence | undefined>): Verdict[] {
    const edited = this.recording.with(changes)
    const fresh = [...changes.keys()].some(isInput)
      ? judgeAll(this.invariants, edited, expectationsFor(edited, this.overrides))
      : [...this.verdicts.values()]
          .filter(({ citations }) => citations.some(({ source }) => changes.has(source)))
          .map(({ invariant, subject }) => judgeOne(invariant, subject, edited, this.expectations))
    return fresh.filter(verdict => verdict.status !== this.verdicts.get(keyOf(verdict))?.status)
  }

  /** The same with more evidence, where an invariant brings what the recording lacks. */
  with(changes: ReadonlyMap<Source, Evidence | undefined>): Baseline {
    const verdicts = new Map(this.verdicts)
    for (const verdict of this.after(changes)) verdicts.set(keyOf(verdict), verdict)
    const supplied = new Baseline(this.invariants, this.recording.with(changes), this.overrides, verdicts)
    // Those whose status stayed may cite the new evidence: their citations must say so.
    for (const [key, { invariant, subject, citations }] of verdicts) {
      if (citations.some(({ source }) => changes.has(source))) {
        verdicts.set(key, judgeOne(invariant, subject, supplied.recording, supplied.expectations))
      }
    }
    return supplied
  }
}

export interface Refuted {
  readonly invariant: CataloguedInvariant
  readonly subject: string
  readonly refutation: string
  /** Why it was not caught, or what else it hit; empty where all is well. */
  readonly problems: readonly string[]
}

/** Runs every refutation of an invariant on every subject that it applies to. */
export function refute(invariant: CataloguedInvariant, healthy: Baseline): Refuted[] {
  const subjects = subjectsOf(invariant, healthy.expectations)
  const results: Refuted[] = []
  for (const subject of subjects) {
    const node = subject === CLUSTER ? (healthy.recording.nodes[0] ?? '') : subject
    const baseline = supplied(invariant, healthy, node)
    const before = baseline.verdicts.get(keyOf({ invariant, subject }))
    // An advisory that a healthy cluster carries, and a subject that the invariant does not apply to, can not be refuted.
    if (before?.status === 'not applicable') continue
    for (const [refutation, how] of Object.entries(invariant.refutedBy)) {
      const problems =
        before?.status === 'pass'
          ? hit(invariant, subject, node, how, baseline)
          : [`is ${before?.status ?? 'not judged'} before the edit: ${before?.reason ?? describe(before)}`]
      results.push({ invariant, subject, refutation, problems })
    }
  }
  if (results.length === 0)
    results.push({
      invariant,
      subject: '-',
      refutation: '-',
      problems: ['applies to no subject of the healthy recording'],
    })
  return results
}

function supplied(invariant: CataloguedInvariant, healthy: Baseline, node: string): Baseline {
  if (invariant.suppliedBy === undefined) return healthy
  const edit = new Edit(healthy.recording, node)
  invariant.suppliedBy(edit)
  return healthy.with(edit.changes)
}

function hit(
  invariant: CataloguedInvariant,
  subject: string,
  node: string,
  how: Refutation,
  baseline: Baseline,
): string[] {
  const { edit: apply, also } = typeof how === 'function' ? { edit: how, also: [] } : how
  const edit = new Edit(baseline.recording, node)
  let after: Verdict[]
  try {
    apply(edit)
    after = baseline.after(edit.changes)
  } catch (error) {
    return [(error as Error).message]
  }
  const own = after.find(
    verdict => verdict.invariant.id === invariant.id && (verdict.subject === subject || movesInventory(edit)),
  )
  const problems: string[] = []
  if (own?.status !== 'fail')
    problems.push(`stays ${own?.status ?? 'pass'}: ${own?.reason ?? 'the edit is not noticed'}`)
  const others = after.filter(
    verdict => verdict !== own && (verdict.status === 'fail' || verdict.status === 'indeterminate'),
  )
  for (const other of others) {
    if (also.includes(other.invariant.id) || dependsOn(other.invariant, invariant.id, baseline.invariants)) continue
    // An edit of the inventory moves what all other planes are compared with: only its own plane is held to exactness.
    if (movesInventory(edit) && (other.invariant.plane !== 'inventory' || other.invariant.id === invariant.id)) continue
    problems.push(`${keyOf(other)} becomes ${other.status}: ${other.reason ?? describe(other)}`)
  }
  const idle = also.filter(id => !others.some(other => other.invariant.id === id))
  if (idle.length > 0) problems.push(`also names ${idle.join(', ')}, which it does not hit`)
  return problems
}

function movesInventory({ changes }: Edit): boolean {
  return [...changes.keys()].some(isInput)
}

function describe(verdict: Verdict | undefined): string {
  const finding = verdict?.findings[0]
  return finding === undefined ? '' : `${finding.what}: ${finding.found}, expected ${finding.expected}`
}

function dependsOn(
  invariant: CataloguedInvariant,
  id: string,
  all: readonly CataloguedInvariant[],
  seen: readonly string[] = [],
): boolean {
  const direct = invariant.dependsOn ?? []
  return direct.some(
    one =>
      one === id ||
      (!seen.includes(one) && all.some(other => other.id === one && dependsOn(other, id, all, [...seen, one]))),
  )
}

const GARBAGE = '\u0001]}{ \ufffdgarbled\u0002 "<<<\n\u0000;;=: -\n'

export interface Spoilt {
  readonly source: Source
  readonly how: 'deleted' | 'garbled'
  readonly citing: number
  readonly problems: readonly string[]
}

/** Deletes, then garbles, one source of evidence: every verdict that cites it must become indeterminate. */
export function spoil(source: Source, baseline: Baseline): Spoilt[] {
  const evidence = baseline.recording.get(source)
  if (evidence === undefined) return []
  const citing = [...baseline.verdicts.values()].filter(
    ({ citations, status }) => status !== 'indeterminate' && citations.some(citation => citation.source === source),
  )
  const garbled = garble(evidence)
  return (['deleted', 'garbled'] as const).map(how => {
    const edited = baseline.recording.with(new Map([[source, how === 'deleted' ? undefined : garbled]]))
    const problems = citing
      .map(({ invariant, subject, status }) => ({
        before: status,
        ...judgeOne(invariant, subject, edited, baseline.expectations),
      }))
      .filter(({ before, status }) => status !== 'indeterminate' && !(before === 'fail' && status === 'fail'))
      .map(
        verdict => `${keyOf(verdict)} is ${verdict.status}${describe(verdict) === '' ? '' : `: ${describe(verdict)}`}`,
      )
    return { source, how, citing: citing.length, problems }
  })
}

function garble(evidence: Evidence): Evidence {
  switch (evidence.kind) {
    case 'command':
      return { ...evidence, stdout: GARBAGE, stderr: GARBAGE, ...(evidence.exitCode === 0 ? {} : { exitCode: null }) }
    case 'file':
      return {
        ...evidence,
        mode: '??',
        owner: '?',
        group: '?',
        mtime: undefined,
        ...(evidence.content === undefined ? {} : { content: GARBAGE }),
      }
    case 'text':
      return { ...evidence, content: GARBAGE }
  }
}
