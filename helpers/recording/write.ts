import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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
