import type { Report } from '../report/records.ts'
import { type Change, kinds } from './diff.ts'

/** What a person reads of a comparison: by kind, each change with what was found and the lines that changed. */
export function told(changes: readonly Change[], before: Report, after: Report): string {
  const sections = kinds.flatMap(kind => {
    const own = changes.filter(change => change.kind === kind)
    if (own.length === 0) return []
    const brief = kind === 'still failing' || kind === 'incomparable'
    return ['', `${kind} (${own.length})`, ...own.map(change => (brief ? `  ${line(change)}` : `\n${full(change)}`))]
  })
  return [
    `before  ${before.recording}, recorded ${before.recordedAt}`,
    `after   ${after.recording}, recorded ${after.recordedAt}`,
    ...(changes.length === 0 ? ['', 'No verdict differs.'] : sections),
  ].join('\n')
}

function line({ key, before, after }: Change): string {
  return `${key}: ${before?.status ?? 'not judged'} → ${after?.status ?? 'not judged'}`
}

function full(change: Change): string {
  const { after, before, evidence, expectations } = change
  const findings = (after?.findings.length ? after : before)?.findings ?? []
  const reason = after?.reason ?? before?.reason
  return [
    `  ${line(change)}`,
    `    ${after?.title ?? before?.title ?? ''}`,
    ...findings.map(({ what, expected, found }) => `    ${what}: expected ${expected}, found ${found}`),
    ...(reason === undefined ? [] : [`    ${reason}`]),
    ...expectations.map(expectation => `    expected now  ${expectation}`),
    ...evidence.flatMap(({ path, lines }) => [`    ${path}`, ...lines.map(text => `      ${text}`)]),
  ].join('\n')
}
