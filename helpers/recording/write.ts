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
 * Writes a recording beside its final place and moves it there when it is whole, the manifest last.
 * @throws UserError where the folder exists and is not empty.
 */
export function writeRecording(dir: string, content: RecordingContent): void {
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    throw new UserError(`${dir}: exists and is not empty. Give a new folder, or remove it first.`)
  }
  const partial = `${dir}.partial`
  rmSync(partial, { recursive: true, force: true })
  const digests: Record<string, string> = {}
  const write = (path: string, text: string) => {
    const file = join(partial, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    digests[path] = createHash('sha256').update(text).digest('hex')
  }
  for (const [name, node] of Object.entries(content.nodes)) {
    if (typeof node !== 'string') writeNode(name, node, write)
  }
  for (const [path, text] of Object.entries(content.texts)) write(pathOf(path, undefined), text)
  const manifest: Manifest = {
    format: FORMAT,
    ...content.manifest,
    nodes: Object.fromEntries(
      Object.entries(content.nodes).map(([name, node]) => [
        name,
        typeof node === 'string' ? { unreachable: node } : {},
      ]),
    ),
    digests: Object.fromEntries(Object.entries(digests).sort(([a], [b]) => (a < b ? -1 : 1))),
  }
  mkdirSync(partial, { recursive: true })
  writeFileSync(join(partial, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  rmSync(dir, { recursive: true, force: true })
  renameSync(partial, dir)
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
  const { startedAt, finishedAt } = node
  write(
    `nodes/${name}/node.json`,
    `${JSON.stringify({ node: name, startedAt, finishedAt, commands, files }, null, 2)}\n`,
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
  const { suite, recordedAt, apiReadAt, target, complete } = recording.manifest
  writeRecording(dir, { manifest: { suite, recordedAt, apiReadAt, target, complete }, nodes, texts })
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
