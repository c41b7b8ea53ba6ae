import { z } from 'zod'
import { firstIssue, UserError } from '../recording/errors.ts'
import { readVarsFile } from './inventory/vars-file.ts'

const reason = z.string().trim().min(1, 'say why')

const schema = z.strictObject({
  /** The release that deployed the cluster, where the recording does not say. */
  release: z.string().optional(),
  /** Values that deliberately differ from the inventory and the release. */
  expectations: z.array(z.strictObject({ variable: z.string(), value: z.unknown(), reason })).default([]),
  /** Evidence that can not be had: these may stay indeterminate. */
  knownGaps: z.array(z.strictObject({ id: z.string(), node: z.string().optional(), reason })).default([]),
  /** What vault-encrypted files set, so that all other variables stay known. */
  encrypted: z.array(z.strictObject({ file: z.string(), variables: z.array(z.string()) })).default([]),
})

export type Overrides = z.infer<typeof schema> & { readonly file: string }

export const noOverrides: Overrides = { file: '', expectations: [], knownGaps: [], encrypted: [] }

/** A user's deliberate deviations. @throws UserError that names file and field */
export function readOverrides(text: string, file: string): Overrides {
  const { settings } = readVarsFile(text, file)
  const plain = Object.fromEntries([...(settings ?? [])].map(([key, { value }]) => [key, value]))
  const result = schema.safeParse(plain)
  if (result.success) return { ...result.data, file }
  throw new UserError(`${file}: ${firstIssue(result.error)}. See README, "Deliberate deviations".`)
}
