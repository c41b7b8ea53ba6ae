import type { ReadVariable } from '../evidence/cluster.ts'
import type { Citation } from '../evidence/reader.ts'
import { type Finding, show } from '../invariant/check.ts'
import { CLUSTER } from '../invariant/invariant.ts'
import { textOf } from '../recording/format.ts'
import type { Recording } from '../recording/recording.ts'
import type { VerdictRecord } from '../report/records.ts'
import type { Verdict } from './verdict.ts'

const MOST_EVIDENCE = 12
/** Characters of a text in which the line of a difference is looked for: a thousand nodes' list is not searched for each of them. */
const MOST_SEARCHED = 1024 * 1024

/** What thousands of verdicts say alike is made once. */
const citedEvidence = new WeakMap<Citation, VerdictRecord['evidence'][number]>()
const shownVariables = new WeakMap<ReadVariable, VerdictRecord['variables'][number]>()

function once<K extends object, V>(known: WeakMap<K, V>, key: K, make: (key: K) => V): V {
  let value = known.get(key)
  if (value === undefined) known.set(key, (value = make(key)))
  return value
}

/** A verdict as reports and verdicts.json tell it: plain data, with the lines of the evidence where a difference shows. */
export function record(verdict: Verdict, recording: Recording): VerdictRecord {
  const { invariant, subject, status, findings, reason, impliedBy, knownGap, waiver, citations, variables } = verdict
  const { id, plane, severity, spec, title, because, source } = invariant
  const located = citations
    .map(citation => ({ citation, line: lineOf(citation, findings, recording) }))
    .sort((a, b) => Number(b.line !== undefined) - Number(a.line !== undefined))
  return {
    id,
    subject,
    status,
    severity,
    plane,
    spec,
    title,
    because,
    fix: invariant.fix.replaceAll('HOST', subject === CLUSTER ? '<host>' : subject),
    source: [...source],
    findings: [...findings],
    ...(reason === undefined ? {} : { reason }),
    ...(impliedBy === undefined ? {} : { impliedBy }),
    ...(knownGap === undefined ? {} : { knownGap }),
    ...(waiver === undefined ? {} : { waiver }),
    evidence: located.slice(0, MOST_EVIDENCE).map(({ citation, line }) => {
      const cited = once(citedEvidence, citation, ({ path }) => {
        const sha256 = recording.manifest.digests[path]
        return { path, ...(sha256 === undefined ? {} : { sha256 }) }
      })
      return line === undefined ? cited : { ...cited, line }
    }),
    variables: variables.map(variable =>
      once(shownVariables, variable, ({ name, value, origin }) => ({
        name,
        value: shorten(show(value)),
        origin: origin.line === undefined ? origin.file : `${origin.file}:${origin.line}`,
      })),
    ),
  }
}

/** The line of a source on which a difference shows: the one with most of the words of what was found and of what differs. */
function lineOf({ source }: Citation, findings: readonly Finding[], recording: Recording): number | undefined {
  const evidence = recording.get(source)
  if (evidence === undefined || findings.length === 0) return undefined
  const text = textOf(evidence)
  if (text.length > MOST_SEARCHED) return undefined
  const lines = text.split('\n')
  for (const { what, found } of findings) {
    const told = /^line (\d+):/.exec(found)?.[1]
    if (told !== undefined && source.includes('log')) return Number(told)
    // Names of settings, addresses and numbers tell a line; plain words do not.
    const words = [...found.split(/[\s,]+/), ...what.split(/[\s,]+/)].filter(
      word => word.length > 2 && /[_\-./=:\d]/.test(word),
    )
    const score = (line: string) => words.reduce((sum, word) => sum + Number(line.includes(word)), 0)
    let best = { score: 0, line: 0 }
    for (const [index, line] of lines.entries()) {
      const own = score(line)
      if (own > best.score) best = { score: own, line: index + 1 }
    }
    if (best.score > 0) return best.line
  }
  return undefined
}

function shorten(text: string): string {
  return text.length > 160 ? `${text.slice(0, 160)}…` : text
}
