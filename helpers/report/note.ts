import { isAdvice, isUnknown, type VerdictRecord } from './records.ts'

/** One verdict as a colleague would note it down: what is wrong, where, expected and found, why it matters, what to do. */
export function note(verdict: VerdictRecord): string {
  const {
    id,
    subject,
    title,
    severity,
    findings,
    reason,
    because,
    fix,
    source,
    evidence,
    variables,
    impliedBy,
    waiver,
    knownGap,
  } = verdict
  const lines = [`${mark(verdict)} ${id} on ${subject}  [${severity}]`, `  ${title}`]
  for (const { what, expected, found } of findings)
    lines.push(`    ${what}`, `      expected  ${expected}`, `      found     ${found}`)
  if (reason !== undefined) lines.push(`    ${reason}`)
  if (impliedBy !== undefined) lines.push(`  implied by  ${impliedBy}`)
  if (waiver !== undefined) lines.push(`  waived      until ${waiver.expires}: ${waiver.reason}`)
  if (knownGap !== undefined) lines.push(`  known gap   ${knownGap}`)
  const shown = evidence.slice(0, 4).map(({ path, line }) => (line === undefined ? path : `${path}:${line}`))
  if (shown.length > 0) lines.push(`  evidence    ${shown.join('\n              ')}`)
  if (evidence.length > 4) lines.push(`              and ${evidence.length - 4} more (verdicts.json)`)
  const set = variables.filter(({ origin }) => !origin.startsWith('Kubespray '))
  if (set.length > 0)
    lines.push(
      `  expected by ${set
        .slice(0, 4)
        .map(({ name, value, origin }) => `${name}=${value} (${origin})`)
        .join('\n              ')}`,
    )
  lines.push(`  why         ${because}`, `  fix         ${fix}`, `  documented  ${source.join('; ')}`)
  return lines.join('\n')
}

function mark(verdict: VerdictRecord): string {
  if (isAdvice(verdict)) return 'ADVICE'
  if (verdict.status === 'fail') return 'FAIL'
  if (verdict.status === 'waived') return 'WAIVED'
  return isUnknown(verdict) ? 'NO EVIDENCE' : 'NOTE'
}
