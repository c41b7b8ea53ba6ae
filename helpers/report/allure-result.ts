import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Status, type TestResult } from 'allure-js-commons'
import { isAdvice, isFailure, isUnknown, keyOf, type Report, type VerdictRecord } from './records.ts'

const SEVERITIES = {
  blocker: 'blocker',
  critical: 'critical',
  normal: 'normal',
  minor: 'minor',
  advisory: 'trivial',
} as const
const LARGEST_ATTACHMENT = 512 * 1024

/** The name of a verdict's test, from which its record is found again. */
export function testName({ id, subject, title }: Pick<VerdictRecord, 'id' | 'subject' | 'title'>): string {
  return `${id} on ${subject}: ${title}`
}

/**
 * Gives each Allure result what the verdict knows: grouping, severity, an explanation, the evidence of what failed.
 * One listener in the reporter's process costs nothing for each test; allure's own calls cost a message each.
 */
export function resultListener(report: Report, resultsDir: string) {
  const records = new Map(report.verdicts.map(verdict => [testName(verdict), verdict]))
  return {
    beforeTestResultWrite(result: TestResult): void {
      const verdict = records.get(result.name ?? '')
      if (verdict === undefined) return
      const key = keyOf(verdict)
      result.name = `${verdict.subject}: ${verdict.title}`
      result.fullName = key
      result.historyId = createHash('md5').update(key).digest('hex')
      result.testCaseId = createHash('md5').update(key).digest('hex')
      result.titlePath = [verdict.plane, verdict.id]
      result.labels = [
        { name: 'epic', value: verdict.plane },
        { name: 'feature', value: verdict.id },
        { name: 'story', value: verdict.subject },
        { name: 'severity', value: SEVERITIES[verdict.severity] },
        { name: 'tag', value: isAdvice(verdict) ? 'advice' : verdict.status },
        { name: 'host', value: verdict.subject },
      ]
      result.status = statusOf(verdict)
      result.statusDetails = messageOf(verdict)
      result.descriptionHtml = describe(verdict)
      result.parameters = []
      result.steps = []
      if (isFailure(verdict)) result.attachments = attach(verdict, report.recording, resultsDir)
    },
  }
}

/** Allure's statuses: advice passes with a tag; what lacks evidence is broken; what is accepted or does not apply is skipped. */
function statusOf(verdict: VerdictRecord): Status {
  if (isFailure(verdict)) return Status.FAILED
  if (isUnknown(verdict)) return Status.BROKEN
  return verdict.status === 'pass' || isAdvice(verdict) ? Status.PASSED : Status.SKIPPED
}

function messageOf(verdict: VerdictRecord): { message?: string } {
  const { findings, reason, impliedBy, waiver, knownGap } = verdict
  const differences = findings.map(({ what, expected, found }) => `${what}: expected ${expected}, found ${found}`)
  const message = [
    ...(impliedBy === undefined ? [] : [`Implied by ${impliedBy}.`]),
    ...(waiver === undefined ? [] : [`Waived until ${waiver.expires}: ${waiver.reason}`]),
    ...(knownGap === undefined ? [] : [`Known gap: ${knownGap}`]),
    ...(reason === undefined ? [] : [reason]),
    ...differences,
  ].join('\n')
  return message === '' ? {} : { message }
}

function describe(verdict: VerdictRecord): string {
  const { findings, evidence, variables, because, fix, source, id, severity, impliedBy } = verdict
  const row = (cells: readonly string[], tag = 'td') =>
    `<tr>${cells.map(cell => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`
  const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
    `<table>${row(head, 'th')}${rows.map(cells => row(cells)).join('')}</table>`
  const paragraph = (title: string, text: string) => `<p><b>${title}</b><br>${escape(text)}</p>`
  return [
    `<p><code>${escape(id)}</code> · ${severity}${impliedBy === undefined ? '' : ` · implied by <code>${escape(impliedBy)}</code>`}</p>`,
    findings.length > 0
      ? table(
          ['What', 'Expected', 'Found'],
          findings.map(({ what, expected, found }) => [what, expected, found]),
        )
      : '',
    paragraph('Why it matters', because),
    verdict.status === 'pass' ? '' : paragraph('How to fix it', fix),
    evidence.length > 0
      ? table(
          ['Evidence', 'Line', 'SHA-256'],
          evidence.map(({ path, line, sha256 }) => [
            path,
            line === undefined ? '' : String(line),
            sha256?.slice(0, 12) ?? '',
          ]),
        )
      : '',
    variables.length > 0
      ? table(
          ['Expected by', 'Value', 'From'],
          variables.map(({ name, value, origin }) => [name, value, origin]),
        )
      : '',
    paragraph('Documented in', source.join('; ')),
  ].join('')
}

/** Copies the first files that a failure cites beside the results, where Allure finds them. */
function attach(verdict: VerdictRecord, recording: string, resultsDir: string): TestResult['attachments'] {
  const key = keyOf(verdict)
  mkdirSync(resultsDir, { recursive: true })
  return verdict.evidence.slice(0, 3).flatMap(({ path }) => {
    const file = join(recording, path)
    if (!existsSync(file) || statSync(file).size > LARGEST_ATTACHMENT) return []
    const source = `${createHash('md5').update(`${key} ${path}`).digest('hex')}-attachment.txt`
    copyFileSync(file, join(resultsDir, source))
    return [{ name: `${basename(path)} (${path})`, source, type: 'text/plain' }]
  })
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, mark => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[mark] ?? mark)
}
