import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { firstIssue, UserError } from './errors.ts'
import {
  collectionSource,
  commandSource,
  type Evidence,
  FORMAT,
  fileSource,
  manifestSchema,
  nodeIndex,
  pathOf,
  type Source,
} from './format.ts'
import { Recording } from './recording.ts'
import { Texts } from './texts.ts'

/**
 * Opens a recording and verifies the digest of every file in it.
 * @throws UserError that names the file, for a folder that is no recording, is damaged, half written, or of a newer format.
 */
export function openRecording(dir: string): Recording {
  if (!existsSync(dir)) throw new UserError(`${dir}: no such recording. Give the folder that holds its manifest.json.`)
  if (!statSync(dir).isDirectory())
    throw new UserError(`${dir}: not a folder. A recording is a folder with a manifest.json.`)
  const manifest = readManifest(dir)
  const texts = readVerified(dir, manifest.digests)
  const evidence = new Map<Source, Evidence>()
  for (const [node, { unreachable }] of Object.entries(manifest.nodes)) {
    if (unreachable === undefined) readNode(dir, node, texts, evidence)
    else evidence.set(collectionSource(node), { kind: 'text', content: JSON.stringify({ unreachable }) })
  }
  for (const path of texts.paths) {
    if (/^(api|controller)\//.test(path)) evidence.set(decodeURIComponent(path), texts.text(path))
  }
  return new Recording(dir, manifest, evidence)
}

function readManifest(dir: string) {
  const path = join(dir, 'manifest.json')
  if (!existsSync(path)) {
    throw new UserError(
      `${dir}: not a recording: it has no manifest.json (it is written last: if collecting was interrupted, record again).`,
    )
  }
  const json = parseJson(path)
  const format = z.object({ format: z.number() }).safeParse(json)
  if (format.success && format.data.format > FORMAT) {
    throw new UserError(
      `${path}: recording format ${format.data.format} is newer than this suite, which reads up to ${FORMAT}. Update the suite.`,
    )
  }
  return validate(path, manifestSchema, json)
}

function readVerified(dir: string, digests: Readonly<Record<string, string>>): Texts {
  const texts = new Texts(dir)
  for (const [path, digest] of Object.entries(digests)) {
    const file = join(dir, path)
    let bytes: Buffer
    try {
      bytes = readFileSync(file)
    } catch {
      throw new UserError(
        `${file}: is in the manifest but can not be read. The recording is incomplete: copy it again.`,
      )
    }
    if (createHash('sha256').update(bytes).digest('hex') !== digest) {
      throw new UserError(
        `${file}: does not match its digest in manifest.json (${bytes.length} bytes). The recording was changed or damaged: copy it again.`,
      )
    }
    texts.add(path, bytes)
  }
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const path = relative(dir, join(entry.parentPath, entry.name))
    if (entry.isFile() && path !== 'manifest.json' && !texts.has(path)) {
      throw new UserError(
        `${join(dir, path)}: is not in manifest.json. Remove it: evidence without a digest is not judged.`,
      )
    }
  }
  return texts
}

/** What tells pathOf that a source is a command. */
const COMMAND = { kind: 'command', command: '', exitCode: null, seconds: 0, stdout: '', stderr: '' } as const

function readNode(dir: string, node: string, texts: Texts, evidence: Map<Source, Evidence>): void {
  const path = `nodes/${node}/node.json`
  const text = texts.get(path)
  if (text === undefined) return
  const index = validate(join(dir, path), nodeIndex, parseJson(join(dir, path), text))
  for (const [id, entry] of Object.entries(index.commands)) {
    evidence.set(commandSource(node, id), texts.command(pathOf(commandSource(node, id), COMMAND), entry))
  }
  for (const [file, entry] of Object.entries(index.files)) {
    const source = fileSource(node, file)
    evidence.set(source, texts.file(pathOf(source, undefined), entry))
  }
  evidence.set(collectionSource(node), {
    kind: 'text',
    content: JSON.stringify({ startedAt: index.startedAt, finishedAt: index.finishedAt, cut: index.cut }),
  })
}

function parseJson(path: string, text = readFileSync(path, 'utf8')): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UserError(`${path}: not JSON (${(error as Error).message}). The recording is damaged: copy it again.`)
  }
}

function validate<T>(path: string, schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  throw new UserError(`${path}: ${firstIssue(result.error)}. Not a recording of format ${FORMAT}.`)
}
