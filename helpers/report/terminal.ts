import { styleText } from 'node:util'
import { planes } from '../invariant/invariant.ts'
import { note } from './note.ts'
import { isAdvice, isFailure, isUnknown, keyOf, type Report, type VerdictRecord } from './records.ts'

type Style = Parameters<typeof styleText>[0]

/** What the terminal shows: the matrix by plane, then each failure as a note, root causes first. Colours only where asked for. */
export function terminal(report: Report, colours: boolean): string {
  const paint = (style: Style, text: string) => (colours ? styleText(style, text, { validateStream: false }) : text)
  const failures = report.verdicts.filter(isFailure)
  const roots = failures.filter(({ impliedBy }) => impliedBy === undefined)
  const unknown = report.verdicts.filter(isUnknown)
  const advice = report.verdicts.filter(isAdvice)
  return [
    heading(report),
    '',
    matrix(report, paint),
    ...section(
      'Failures',
      'red',
      roots.flatMap(root => [note(root), ...implied(root, failures)]),
    ),
    ...section('Failures that another explains elsewhere', 'red', orphans(failures, roots)),
    ...section('Not enough evidence', 'yellow', [
      ...grouped(unknown.filter(({ impliedBy }) => impliedBy === undefined)),
      ...lacking(unknown),
    ]),
    ...section('Advice (documented risks, never gating)', 'cyan', grouped(advice)),
    ...section(
      'Known gaps (evidence that you said can not be had)',
      'dim',
      [knownGaps(report.verdicts)].filter(text => text !== ''),
    ),
    ...section('Your lists', 'yellow', [...report.notes]),
    '',
    total(report, paint),
  ].join('\n')

  function section(title: string, style: Style, texts: readonly string[]): string[] {
    return texts.length === 0 ? [] : ['', paint(['bold', style] as Style, title), '', texts.join('\n\n')]
  }
}

function heading({
  recording,
  target,
  release,
  topology,
  nodes,
  recordedAt,
  overrides,
  complete,
  selection,
}: Report): string {
  return [
    `Kubespray ${release}, ${topology}, ${nodes.length} nodes: ${recording} (${target}), recorded ${recordedAt}${complete ? '' : ', INCOMPLETE'}`,
    ...overrides.map(override => `deliberately: ${override}`),
    ...(selection === undefined ? [] : [`only: ${selection}`]),
  ].join('\n')
}

/** Failures of which a root cause is told; they are listed in one line each, behind it. */
function implied(root: VerdictRecord, failures: readonly VerdictRecord[]): string[] {
  const those = failures.filter(({ impliedBy }) => impliedBy === keyOf(root))
  return those.map(
    ({ id, subject, findings }) =>
      `  ↳ ${id} on ${subject} fails with it: ${findings[0]?.what ?? ''}: ${findings[0]?.found ?? ''}`,
  )
}

/** How much evidence is missing for a reason that is told above. */
function lacking(unknown: readonly VerdictRecord[]): string[] {
  const causes = [...new Set(unknown.flatMap(({ impliedBy }) => impliedBy ?? []))]
  return causes.map(
    cause =>
      `${unknown.filter(({ impliedBy }) => impliedBy === cause).length} verdicts lack evidence because of ${cause}`,
  )
}

/** One line for each invariant whose evidence the user said can not be had. */
function knownGaps(verdicts: readonly VerdictRecord[]): string {
  const gaps = verdicts.filter(({ status, knownGap }) => status === 'indeterminate' && knownGap !== undefined)
  return oneOfEach(gaps)
    .map(({ id, knownGap }) => `  ${id.padEnd(24)} ${knownGap ?? ''}`)
    .join('\n')
}

function orphans(failures: readonly VerdictRecord[], roots: readonly VerdictRecord[]): string[] {
  const told = new Set(roots.map(keyOf))
  return failures.filter(({ impliedBy }) => impliedBy !== undefined && !told.has(impliedBy)).map(note)
}

/** One note for an invariant, however many nodes it is about. */
function grouped(verdicts: readonly VerdictRecord[]): string[] {
  return oneOfEach(verdicts).map(verdict => {
    const subjects = verdicts.filter(({ id }) => id === verdict.id).map(({ subject }) => subject)
    return note({ ...verdict, subject: subjects.join(', ') })
  })
}

/** The first verdict of each invariant. */
function oneOfEach(verdicts: readonly VerdictRecord[]): VerdictRecord[] {
  const ids = new Set<string>()
  return verdicts.filter(({ id }) => !ids.has(id) && ids.add(id))
}

/** Whether a verdict is for or against the cluster: not what does not apply, is accepted as a gap, or is advice. */
function counts(verdict: VerdictRecord): boolean {
  return verdict.status !== 'not applicable' && verdict.knownGap === undefined && verdict.severity !== 'advisory'
}

/** For each plane how many invariants hold on each node; a line of its own for each invariant that does not hold everywhere. */
function matrix({ verdicts, nodes }: Report, paint: (style: Style, text: string) => string): string {
  const subjects = [...nodes.slice(0, 12), 'cluster'].filter(subject =>
    verdicts.some(verdict => verdict.subject === subject),
  )
  const width = 34
  const cell = (text: string, style: Style, subject: string) =>
    paint(style, text.padStart(Math.max(9, subject.length) + 2))
  const rows = planes.flatMap(plane => {
    const own = verdicts.filter(verdict => verdict.plane === plane)
    if (own.length === 0) return []
    const sums = subjects.map(subject => {
      const here = own.filter(verdict => verdict.subject === subject && counts(verdict))
      const good = here.filter(({ status }) => status === 'pass').length
      const style: Style = here.some(isFailure) ? 'red' : here.some(isUnknown) ? 'yellow' : 'green'
      return cell(here.length === 0 ? '·' : `${good}/${here.length}`, style, subject)
    })
    const ids = [
      ...new Set(
        own
          .filter(verdict => isFailure(verdict) || isUnknown(verdict) || verdict.status === 'waived')
          .map(({ id }) => id),
      ),
    ]
    const details = ids.map(
      id =>
        `  ${id.padEnd(width - 2)}${subjects
          .map(subject =>
            sign(
              own.find(verdict => verdict.id === id && verdict.subject === subject),
              subject,
            ),
          )
          .join('')}`,
    )
    return [`${paint('bold', plane.padEnd(width))}${sums.join('')}`, ...details]
  })
  const rest = nodes.length > 12 ? [`(${nodes.length - 12} more nodes in the HTML report and verdicts.json)`] : []
  return [
    `${' '.repeat(width)}${subjects.map(subject => subject.padStart(Math.max(9, subject.length) + 2)).join('')}`,
    ...rows,
    ...rest,
  ].join('\n')

  function sign(verdict: VerdictRecord | undefined, subject: string): string {
    if (verdict === undefined) return cell('', 'dim', subject)
    if (isFailure(verdict)) return cell(verdict.impliedBy === undefined ? '✗' : '↳', 'red', subject)
    if (isUnknown(verdict)) return cell('?', 'yellow', subject)
    if (verdict.status === 'waived') return cell('w', 'yellow', subject)
    return cell(verdict.status === 'pass' ? '✓' : '·', 'dim', subject)
  }
}

function total({ counts, exitCode }: Report, paint: (style: Style, text: string) => string): string {
  const text = Object.entries(counts)
    .filter(([kind, count]) => count > 0 || kind === 'pass' || kind === 'fail')
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ')
  const verdict =
    ['The cluster conforms.', 'The cluster does not conform.', 'There is not enough evidence to say.'][exitCode] ?? ''
  const style: Style = exitCode === 0 ? 'green' : exitCode === 1 ? 'red' : 'yellow'
  return paint(['bold', style] as Style, `${verdict} ${text}`)
}
