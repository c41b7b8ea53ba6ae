import { z } from 'zod'
import { readVarsFile } from '../expectations/inventory/vars-file.ts'
import type { Overrides } from '../expectations/overrides.ts'
import { firstIssue, UserError } from '../recording/errors.ts'
import type { Verdict } from './verdict.ts'

const waiver = z.strictObject({
  id: z.string(),
  /** One node; every subject where it is not given. */
  node: z.string().optional(),
  reason: z.string('say why').trim().min(1, 'say why'),
  /** `YYYY-MM-DD`: the last day on which it counts. */
  expires: z
    .union([z.string(), z.date()], 'say until when, as YYYY-MM-DD')
    .transform(day => (day instanceof Date ? day.toISOString().slice(0, 10) : day)),
})
export type Waiver = z.infer<typeof waiver>

/** Failures that a user accepts for a while. @throws UserError for one without reason or date, or of an unknown invariant */
export function readWaivers(text: string, file: string, knownIds: ReadonlySet<string>): Waiver[] {
  const { settings } = readVarsFile(text, file)
  const entries = settings?.get('waivers')?.value
  if (!Array.isArray(entries))
    throw new UserError(
      `${file}: holds no list "waivers". Each entry has id, reason, expires, and node for one node only.`,
    )
  return entries.map((entry: unknown, index) => {
    const result = waiver.safeParse(entry)
    if (!result.success) {
      throw new UserError(`${file}: waiver ${index + 1}: ${firstIssue(result.error)}.`)
    }
    if (!/^\d{4}-\d\d-\d\d$/.test(result.data.expires) || Number.isNaN(Date.parse(result.data.expires))) {
      throw new UserError(`${file}: waiver ${index + 1}: expires: ${result.data.expires} is no date. Write YYYY-MM-DD.`)
    }
    if (!knownIds.has(result.data.id))
      throw new UserError(
        `${file}: waiver ${index + 1}: unknown invariant ${result.data.id}. npm run list shows them all.`,
      )
    return result.data
  })
}

export interface Accepted {
  readonly verdicts: readonly Verdict[]
  /** What the user should know of their own lists: expired and unused waivers, known gaps that are none any more. */
  readonly notes: readonly string[]
}

/** Marks what the user accepts: waived failures, and known gaps. Waivers look at today, everything else at the recording. */
export function accept(
  verdicts: readonly Verdict[],
  waivers: readonly Waiver[],
  { knownGaps, file }: Overrides,
  today: string,
): Accepted {
  const notes: string[] = []
  const valid = waivers.filter(({ id, node, expires }) => {
    if (expires >= today) return true
    notes.push(`The waiver of ${at(id, node)} expired on ${expires}: it no longer counts.`)
    return false
  })
  const usedWaivers = new Set<Waiver>()
  const usedGaps = new Set<unknown>()
  const accepted = verdicts.map((verdict): Verdict => {
    const applies = ({ id, node }: { id: string; node?: string | undefined }) =>
      id === verdict.invariant.id && (node === undefined || node === verdict.subject)
    if (verdict.status === 'fail') {
      const waiver = valid.find(applies)
      if (waiver === undefined) return verdict
      usedWaivers.add(waiver)
      return { ...verdict, status: 'waived', waiver: { reason: waiver.reason, expires: waiver.expires } }
    }
    if (verdict.status !== 'indeterminate') return verdict
    const gap = knownGaps.find(applies)
    if (gap === undefined) return verdict
    usedGaps.add(gap)
    return { ...verdict, knownGap: gap.reason }
  })
  for (const waiver of valid)
    if (!usedWaivers.has(waiver))
      notes.push(`The waiver of ${at(waiver.id, waiver.node)} is not used: nothing fails. Remove it.`)
  for (const gap of knownGaps)
    if (!usedGaps.has(gap)) notes.push(`The known gap ${at(gap.id, gap.node)} in ${file} is none any more: remove it.`)
  return { verdicts: accepted, notes }
}

function at(id: string, node: string | undefined): string {
  return node === undefined ? id : `${id} on ${node}`
}
