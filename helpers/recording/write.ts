import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UserError } from './errors.ts'
import {
  type CommandEvidence,
  commandSource,
  type FileEvidence,
  FORMAT,
  fileSource,
  type Manifest,
  pathOf,
} from './format.ts'

import type { Recording } from './recording.ts'

export interface NodeContent {
  readonly startedAt: number
  readonly finishedAt: number
  readonly cut?: string | undefined
  readonly commands: Readonly<Record<string, Omit<CommandEvidence, 'kind'>>>
  readonly files: Readonly<Record<string, Omit<FileEvidence, 'kind'>>>
}

export interface RecordingContent {
  readonly manifest: Omit<Manifest, 'format' | 'digests' | 'nodes'>
  /** By node name; a string is why the node could not be reached. */
  readonly nodes: Readonly<Record<string, NodeContent | string>>
  /** `api/…` and `controller/…` files, and `overrides.yaml`, by their path in the recording. */
  readonly texts: Readonly<Record<string, string>>
}

/**
 * A recording that is being written beside its final place, node by node, and is moved there when it is whole, its
 * manifest last. What was given to it is on disk: it holds only digests.
 */
export class RecordingWriter {
  readonly #dir: string
  readonly #digests: Record<string, string> = {}
  readonly #nodes: Record<string, { unreachable?: string }> = {}
  readonly #folders = new Set<string>()

  /** @throws UserError where the folder exists and is not empty, unless it is to be replaced in the end */
  constructor(dir: string, { replace = false } = {}) {
    if (!replace && existsSync(dir) && readdirSync(dir).length > 0) {
      throw new UserError(`${dir}: exists and is not empty. Give a new folder, or remove it first.`)
    }
    this.#dir = dir
    rmSync(this.#partial, { recursive: true, force: true })
    mkdirSync(this.#partial, { recursive: true })
  }

  /** A node's evidence, or why it could not be reached. */
  node(name: string, content: NodeContent | string): void {
    this.#nodes[name] = typeof content === 'string' ? { unreachable: content } : {}
    if (typeof content !== 'string') writeNode(name, content, (path, text) => this.#write(path, text))
  }

  /** An `api/…` or `controller/…` file, or `overrides.yaml`. */
  text(path: string, text: string): void {
    this.#write(pathOf(path, undefined), text)
  }

  finish(manifest: RecordingContent['manifest']): void {
    const whole: Manifest = {
      format: FORMAT,
      ...manifest,
      nodes: this.#nodes,
      digests: Object.fromEntries(Object.entries(this.#digests).sort(([a], [b]) => (a < b ? -1 : 1))),
    }
    writeFileSync(join(this.#partial, 'manifest.json'), `${JSON.stringify(whole, null, 2)}\n`)
    rmSync(this.#dir, { recursive: true, force: true })
    renameSync(this.#partial, this.#dir)
  }

  get #partial(): string {
    return `${this.#dir}.partial`
  }

  #write(path: string, text: string): void {
    const file = join(this.#partial, path)
    const folder = dirname(file)
    if (!this.#folders.has(folder)) mkdirSync(folder, { recursive: true })
    this.#folders.add(folder)
    writeFileSync(file, text)
    this.#digests[path] = createHash('sha256').update(text).digest('hex')
  }
}

/** Writes a whole recording. @throws UserError where the folder exists and is not empty */
export function writeRecording(dir: string, { manifest, nodes, texts }: RecordingContent): void {
  const writer = new RecordingWriter(dir)
  for (const [name, node] of Object.entries(nodes)) writer.node(name, node)
  for (const [path, text] of Object.entries(texts)) writer.text(path, text)
  writer.finish(manifest)
}

function writeNode(name: string, node: NodeContent, write: (path: string, text: string) => void): void {
  const commands: Record<string, unknown> = {}
  for (const [id, { stdout, stderr, ...entry }] of Object.entries(node.commands)) {
    commands[id] = entry
    const path = pathOf(commandSource(name, id), { kind: 'command', stdout, stderr, ...entry })
    if (stdout !== '') write(path, stdout)
    if (stderr !== '') write(path.replace(/\.stdout$/, '.stderr'), stderr)
  }
  const files: Record<string, unknown> = {}
  for (const [path, { content, ...entry }] of Object.entries(node.files)) {
    files[path] = entry
    if (content !== undefined) write(pathOf(fileSource(name, path), undefined), content)
  }
  const { startedAt, finishedAt, cut } = node
  write(
    `nodes/${name}/node.json`,
    `${JSON.stringify({ node: name, startedAt, finishedAt, cut, commands, files }, null, 2)}\n`,
  )
}

/** Writes a recording that was edited in memory to a new folder. */
export function saveRecording(dir: string, recording: Recording): void {
  const nodes: Record<string, NodeContent | string> = {}
  for (const name of recording.nodes) {
    const unreachable = recording.manifest.nodes[name]?.unreachable
    nodes[name] = unreachable ?? nodeContent(recording, name)
  }
  const texts = Object.fromEntries(
    recording.sources().flatMap(source => {
      const evidence = recording.get(source)
      return evidence?.kind === 'text' && /^(api|controller)\//.test(source) ? [[source, evidence.content]] : []
    }),
  )
  const overrides = join(recording.dir, 'overrides.yaml')
  if (existsSync(overrides)) texts['overrides.yaml'] = readFileSync(overrides, 'utf8')
  const { suite, recordedAt, apiReadAt, target, complete, missing } = recording.manifest
  const manifest = { suite, recordedAt, apiReadAt, target, complete, ...(missing === undefined ? {} : { missing }) }
  writeRecording(dir, { manifest, nodes, texts })
}

function nodeContent(recording: Recording, name: string): NodeContent {
  const commands: Record<string, Omit<CommandEvidence, 'kind'>> = {}
  const files: Record<string, Omit<FileEvidence, 'kind'>> = {}
  let times = { startedAt: 0, finishedAt: 0 }
  for (const source of recording.sources(`nodes/${name}/`)) {
    const evidence = recording.get(source)
    if (evidence?.kind === 'command') {
      commands[source.split('/').at(-1) ?? ''] = withoutKind(evidence)
    } else if (evidence?.kind === 'file') {
      files[source.slice(`nodes/${name}/files`.length)] = withoutKind(evidence)
    } else if (evidence?.kind === 'text') times = JSON.parse(evidence.content) as typeof times
  }
  return { ...times, commands, files }
}

function withoutKind<T extends { readonly kind: string }>(evidence: T): Omit<T, 'kind'> {
  return Object.fromEntries(Object.entries(evidence).filter(([key]) => key !== 'kind')) as Omit<T, 'kind'>
}
