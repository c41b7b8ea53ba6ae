import { z } from 'zod'
import { planes, severities } from '../invariant/invariant.ts'

const finding = z.object({
  what: z.string(),
  expected: z.string(),
  found: z.string(),
})
const evidence = z.object({
  path: z.string().describe('relative to the recording'),
  line: z.number().optional().describe('where the difference shows, from 1'),
  sha256: z.string().optional(),
})
const variable = z.object({
  name: z.string(),
  value: z.string(),
  origin: z.string().describe('file and line, or the release'),
})

export const verdictRecord = z.object({
  id: z.string().describe('the invariant; stable across releases of the suite'),
  subject: z.string().describe('a node of the inventory, or "cluster"'),
  status: z.enum(['pass', 'fail', 'waived', 'not applicable', 'indeterminate']),
  severity: z.enum(severities),
  plane: z.enum(planes),
  spec: z.string(),
  title: z.string(),
  because: z.string().describe('what breaks when it does not hold'),
  fix: z.string(),
  source: z.array(z.string()),
  findings: z.array(finding).describe('what differs; empty unless it fails or is waived'),
  reason: z.string().optional().describe('why it is not applicable or indeterminate'),
  impliedBy: z.string().optional().describe('the failing verdict, id@subject, that explains this one'),
  knownGap: z.string().optional().describe('why the user accepts that it is indeterminate'),
  waiver: z.object({ reason: z.string(), expires: z.string() }).optional(),
  evidence: z.array(evidence),
  variables: z.array(variable),
})
export type VerdictRecord = z.infer<typeof verdictRecord>

/** verdicts.json: what one run of the suite found. */
export const reportSchema = z.object({
  schema: z.literal(1),
  suite: z.string(),
  recording: z.string(),
  target: z.string(),
  recordedAt: z.string(),
  judgedAt: z.string(),
  complete: z.boolean(),
  release: z.string(),
  topology: z.string(),
  nodes: z.array(z.string()),
  selection: z.string().optional().describe('what --only and --node left of the catalogue'),
  overrides: z.array(z.string()).describe('expectations that deliberately differ, with their reasons'),
  notes: z.array(z.string()).describe('expired and unused waivers, known gaps that are none any more'),
  counts: z.record(z.string(), z.number()),
  exitCode: z.number().describe('0 all well, 1 a failure, 2 not enough evidence to say'),
  verdicts: z.array(verdictRecord),
})
export type Report = z.infer<typeof reportSchema>

/** Whether a verdict stops the gate. */
export function isFailure({ status, severity }: VerdictRecord): boolean {
  return status === 'fail' && severity !== 'advisory'
}

/** A documented risk that this cluster carries: reported, never gating. */
export function isAdvice({ status, severity }: VerdictRecord): boolean {
  return status === 'fail' && severity === 'advisory'
}

/** Whether a verdict leaves the gate without an answer. */
export function isUnknown({ status, severity, knownGap }: VerdictRecord): boolean {
  return status === 'indeterminate' && severity !== 'advisory' && knownGap === undefined
}

/** 0 all well, 1 a failure, 2 not enough evidence to say. */
export function exitCodeOf(verdicts: readonly VerdictRecord[]): 0 | 1 | 2 {
  if (verdicts.some(isFailure)) return 1
  return verdicts.some(isUnknown) ? 2 : 0
}

/** How many verdicts there are of each kind that a report tells apart. */
export function countsOf(verdicts: readonly VerdictRecord[]): Record<string, number> {
  const count = (is: (verdict: VerdictRecord) => boolean) => verdicts.filter(is).length
  return {
    pass: count(({ status }) => status === 'pass'),
    fail: count(isFailure),
    advice: count(isAdvice),
    waived: count(({ status }) => status === 'waived'),
    'not applicable': count(({ status }) => status === 'not applicable'),
    indeterminate: count(isUnknown),
    'known gap': count(
      ({ status, knownGap, severity }) =>
        status === 'indeterminate' && (knownGap !== undefined || severity === 'advisory'),
    ),
  }
}

/** `id@subject`. */
export function keyOf({ id, subject }: Pick<VerdictRecord, 'id' | 'subject'>): string {
  return `${id}@${subject}`
}
