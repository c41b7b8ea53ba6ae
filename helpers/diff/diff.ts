import { structuredPatch } from 'diff'
import { pathOf, textOf } from '../recording/format.ts'
import type { Recording } from '../recording/recording.ts'
import { isFailure, isUnknown, keyOf, type Report, type VerdictRecord } from '../report/records.ts'

export const kinds = [
  'new failure',
  'healed',
  'evidence lost',
  'evidence gained',
  'incomparable',
  'still failing',
] as const
export type Kind = (typeof kinds)[number]

/** Evidence of a verdict that is not the same in both recordings: the changed lines, `-` before and `+` after. */
export interface ChangedEvidence {
  readonly path: string
  readonly lines: readonly string[]
}

/** One verdict that differs between two recordings, or fails in both. */
export interface Change {
  readonly kind: Kind
  /** `id@subject`. */
  readonly key: string
  readonly before: VerdictRecord | undefined
  readonly after: VerdictRecord | undefined
  readonly evidence: readonly ChangedEvidence[]
  /** Expectations that differ: `variable: before → after`. */
  readonly expectations: readonly string[]
}

export interface Judged {
  readonly report: Report
  readonly recording: Recording
}

const MOST_LINES = 12

/** How the verdicts of one recording differ from those of an earlier one, with the evidence that changed. */
export function compare(before: Judged, after: Judged): Change[] {
  const old = new Map(before.report.verdicts.map(verdict => [keyOf(verdict), verdict]))
  const fresh = new Map(after.report.verdicts.map(verdict => [keyOf(verdict), verdict]))
  const [textBefore, textAfter] = [textsByPath(before.recording), textsByPath(after.recording)]
  return [...new Set([...old.keys(), ...fresh.keys()])].flatMap(key => {
    const [a, b] = [old.get(key), fresh.get(key)]
    const kind = kindOf(a, b)
    if (kind === undefined) return []
    // What fails in both needs no explanation here: the report of either has it.
    const explained = kind !== 'still failing'
    return [
      {
        kind,
        key,
        before: a,
        after: b,
        evidence: explained ? changedEvidence(a, b, textBefore, textAfter) : [],
        expectations: explained ? changedExpectations(a, b) : [],
      },
    ]
  })
}

/** What became of a verdict; undefined where nothing did that a gate or a reader cares for. */
function kindOf(a: VerdictRecord | undefined, b: VerdictRecord | undefined): Kind | undefined {
  if (a === undefined || b === undefined) return b !== undefined && isFailure(b) ? 'new failure' : 'incomparable'
  if (isFailure(b)) return isFailure(a) ? 'still failing' : 'new failure'
  if (isUnknown(a) !== isUnknown(b)) return isUnknown(b) ? 'evidence lost' : 'evidence gained'
  if (isFailure(a)) return b.status === 'pass' ? 'healed' : 'incomparable'
  return (a.status === 'not applicable') === (b.status === 'not applicable') ? undefined : 'incomparable'
}

function changedEvidence(
  a: VerdictRecord | undefined,
  b: VerdictRecord | undefined,
  before: (path: string) => string,
  after: (path: string) => string,
): ChangedEvidence[] {
  const paths = new Set([...(a?.evidence ?? []), ...(b?.evidence ?? [])].map(({ path }) => path))
  return [...paths].flatMap(path => {
    const lines = changedLines(before(path), after(path))
    return lines.length === 0 ? [] : [{ path, lines }]
  })
}

/** The text that lies at a path of a recording; empty where there is none. */
function textsByPath(recording: Recording): (path: string) => string {
  const texts = new Map(
    recording.sources().map(source => {
      const evidence = recording.get(source)
      return [pathOf(source, evidence), textOf(evidence)]
    }),
  )
  return path => texts.get(path) ?? ''
}

function changedLines(before: string, after: string): string[] {
  if (before === after) return []
  const { hunks } = structuredPatch('', '', before, after, '', '', { context: 0 })
  const lines = hunks.flatMap(hunk => hunk.lines).filter(line => !line.startsWith('\\'))
  const rest = lines.length - MOST_LINES
  return rest > 0 ? [...lines.slice(0, MOST_LINES), `… and ${rest} more lines`] : lines
}

function changedExpectations(a: VerdictRecord | undefined, b: VerdictRecord | undefined): string[] {
  const before = new Map(a?.variables.map(({ name, value }) => [name, value]))
  return (b?.variables ?? []).flatMap(({ name, value }) => {
    const old = before.get(name)
    return old === undefined || old === value ? [] : [`${name}: ${old} → ${value}`]
  })
}
