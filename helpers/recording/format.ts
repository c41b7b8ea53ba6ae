import { z } from 'zod'

/** The recording format that this suite writes; it opens this one and no newer. */
export const FORMAT = 1

/** What a node's `node.json` says of one command. Its output lies beside it in `commands/<id>.stdout` and `.stderr`. */
export const commandEntry = z.strictObject({
  /** The command line as it was run on the node. */
  command: z.string(),
  /** The exit status, or null when the command was ended before it had one. */
  exitCode: z.number().int().nullable(),
  /** How long it ran, in seconds. */
  seconds: z.number(),
  timedOut: z.boolean().optional(),
  truncated: z.boolean().optional(),
})

/** What a node's `node.json` says of one file. Its content lies beside it in `files/<path>`. */
export const fileEntry = z.strictObject({
  /** Permission bits in octal, `0640`. */
  mode: z.string().optional(),
  owner: z.string().optional(),
  group: z.string().optional(),
  /** Bytes on the node. */
  size: z.number().optional(),
  /** Seconds since the epoch. */
  mtime: z.number().optional(),
  linkTarget: z.string().optional(),
  /** SHA-256 of the file on the node, which differs from the recorded content where that is `redacted`. */
  sha256: z.string().optional(),
  redacted: z.boolean().optional(),
  /** Why there is no content: the file is not on the node. */
  absent: z.string().optional(),
  /** Why there is no content: it was not collected (private key material, a script). */
  withheld: z.string().optional(),
})

export const nodeIndex = z.strictObject({
  node: z.string(),
  /** Seconds since the epoch by the collecting machine's clock. */
  startedAt: z.number(),
  finishedAt: z.number(),
  /** Why collecting ended before everything was read: what arrived until then is kept. */
  cut: z.string().optional(),
  commands: z.record(z.string(), commandEntry),
  files: z.record(z.string(), fileEntry),
})

export const manifestSchema = z.strictObject({
  format: z.number().int(),
  /** Version of the suite that wrote the recording. */
  suite: z.string(),
  /** ISO 8601, by the collecting machine's clock: the moment at which ages and expiries are judged. */
  recordedAt: z.string(),
  /** ISO 8601: when the API objects were read. */
  apiReadAt: z.string(),
  target: z.string(),
  /** False where collecting was interrupted: what lacks is indeterminate. */
  complete: z.boolean(),
  nodes: z.record(z.string(), z.strictObject({ unreachable: z.string().optional() })),
  /** Why a source that was asked for is not in the recording: refused, not run for want of root, timed out. */
  missing: z.record(z.string(), z.string()).optional(),
  /** SHA-256 of every other file of the recording. */
  digests: z.record(z.string(), z.string()),
})

export type Manifest = z.infer<typeof manifestSchema>

export type CommandEvidence = z.infer<typeof commandEntry> & {
  readonly kind: 'command'
  readonly stdout: string
  readonly stderr: string
}
export type FileEvidence = z.infer<typeof fileEntry> & { readonly kind: 'file'; readonly content?: string | undefined }
export type TextEvidence = { readonly kind: 'text'; readonly content: string }
export type Evidence = CommandEvidence | FileEvidence | TextEvidence

/** The text of a piece of evidence: what a command printed, or a file's content; empty where there is none. */
export function textOf(evidence: Evidence | undefined): string {
  return evidence?.kind === 'command' ? evidence.stdout : (evidence?.content ?? '')
}

/** The name of one source of evidence: `nodes/<node>/commands/<id>`, `nodes/<node>/files<path>`, `nodes/<node>/collection`, `api/<name>` or `controller/<path>`. */
export type Source = string

export const commandSource = (node: string, id: string): Source => `nodes/${node}/commands/${id}`
/** How collecting went on a node: when it began and ended, or why it could not be reached. */
export const collectionSource = (node: string): Source => `nodes/${node}/collection`
export const fileSource = (node: string, path: string): Source => `nodes/${node}/files${path}`

/** Where a source's text lies on disk, relative to the recording: file names keep only characters that every file system takes. */
export function pathOf(source: Source, evidence: Evidence | undefined): string {
  const escaped = source.split('/').map(escapeSegment).join('/')
  return evidence?.kind === 'command' ? `${escaped}.stdout` : escaped
}

function escapeSegment(segment: string): string {
  const escaped = encodeURIComponent(segment).replaceAll('%40', '@').replaceAll('*', '%2A')
  return escaped === '.' || escaped === '..' ? escaped.replaceAll('.', '%2E') : escaped
}
