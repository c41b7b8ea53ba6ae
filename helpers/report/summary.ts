import { planes } from '../invariant/invariant.ts'
import { isAdvice, isFailure, isUnknown, type Report, type VerdictRecord } from './records.ts'

/** summary.md, for the page of a CI job. */
export function summary(report: Report): string {
  const { exitCode, release, topology, nodes, recording, recordedAt, counts, overrides, notes, verdicts } = report
  const verdict =
    ['✅ The cluster conforms', '❌ The cluster does not conform', '⚠️ Not enough evidence to say'][exitCode] ?? ''
  return `${[
    `# ${verdict}`,
    '',
    `Kubespray ${release}, ${topology}, ${nodes.length} nodes. Recording \`${recording}\` of ${recordedAt}.`,
    '',
    `| ${Object.keys(counts).join(' | ')} |`,
    `| ${Object.keys(counts)
      .map(() => '---:')
      .join(' | ')} |`,
    `| ${Object.values(counts).join(' | ')} |`,
    '',
    '| plane | pass | fail | no evidence |',
    '| --- | ---: | ---: | ---: |',
    ...planes.map(plane => {
      const own = verdicts.filter(one => one.plane === plane)
      return `| ${plane} | ${own.filter(({ status }) => status === 'pass').length} | ${own.filter(isFailure).length} | ${own.filter(isUnknown).length} |`
    }),
    ...list('Failures', verdicts.filter(isFailure), failure),
    ...list(
      'Not enough evidence',
      verdicts.filter(isUnknown),
      ({ id, subject, reason }) => `- **${id}** on ${subject}: ${escape(reason ?? '')}`,
    ),
    ...list(
      'Waived',
      verdicts.filter(({ status }) => status === 'waived'),
      ({ id, subject, waiver }) =>
        `- **${id}** on ${subject} until ${waiver?.expires ?? ''}: ${escape(waiver?.reason ?? '')}`,
    ),
    ...list(
      'Advice',
      verdicts.filter(isAdvice),
      ({ id, subject, title, fix }) => `- **${id}** on ${subject}: ${escape(title)}? ${escape(fix)}`,
    ),
    ...(overrides.length > 0 ? ['', '## Deliberate deviations', '', ...overrides.map(one => `- ${escape(one)}`)] : []),
    ...(notes.length > 0 ? ['', '## Your lists', '', ...notes.map(one => `- ${escape(one)}`)] : []),
  ].join('\n')}\n`
}

function list(title: string, verdicts: readonly VerdictRecord[], line: (verdict: VerdictRecord) => string): string[] {
  return verdicts.length === 0 ? [] : ['', `## ${title}`, '', ...verdicts.map(line)]
}

function failure({ id, subject, severity, title, findings, impliedBy, fix, evidence }: VerdictRecord): string {
  const cause = impliedBy === undefined ? '' : ` (implied by ${impliedBy})`
  const where =
    evidence[0] === undefined
      ? ''
      : ` \`${evidence[0].path}${evidence[0].line === undefined ? '' : `:${evidence[0].line}`}\``
  const differences = findings
    .slice(0, 5)
    .map(({ what, expected, found }) => `  - ${escape(what)}: expected \`${expected}\`, found \`${found}\``)
  return [
    `- **${id}** on ${subject} [${severity}]${cause}: ${escape(title)}.${where}`,
    ...differences,
    `  - Fix: ${escape(fix)}`,
  ].join('\n')
}

function escape(text: string): string {
  return text.replace(/[<>|]/g, mark => ({ '<': '&lt;', '>': '&gt;', '|': '\\|' })[mark] ?? mark)
}
