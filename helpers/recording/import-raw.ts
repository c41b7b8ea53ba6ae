import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { apiText } from './api-text.ts'
import { UserError } from './errors.ts'
import { type NodeContent, writeRecording } from './write.ts'

const rawNode = z.object({
  node: z.string(),
  startedAt: z.number(),
  finishedAt: z.number(),
  commands: z.record(
    z.string(),
    z.object({
      command: z.union([z.string(), z.array(z.string())]),
      exitCode: z.number().nullish(),
      stdout: z.string().nullish(),
      stderr: z.string().nullish(),
      seconds: z.number().default(0),
      timedOut: z.boolean().optional(),
    }),
  ),
  files: z.record(
    z.string(),
    z.object({
      mode: z.string(),
      owner: z.string(),
      group: z.string(),
      size: z.number(),
      mtime: z.number(),
      linkTarget: z.string().nullish(),
      sha256: z.string().nullish(),
      content: z.string().nullish(),
      withheld: z.string().nullish(),
    }),
  ),
})

/**
 * Brings a raw recording (`nodes/*.json`, `api/`, `controller/`) into the suite's format.
 * An overrides file, where one is given, travels with it. Refuses private keys; drops the signatures that bootstrap tokens leave in `cluster-info`.
 * @throws UserError that names the file which is missing, unreadable or holds a private key.
 */
export function importRaw(raw: string, out: string, suite: string, overrides?: string): void {
  if (!existsSync(join(raw, 'nodes'))) throw new UserError(`${raw}: not a raw recording: it has no folder nodes/.`)
  const nodes: Record<string, NodeContent> = {}
  for (const file of readdirSync(join(raw, 'nodes')).sort()) {
    const node = readRawNode(join(raw, 'nodes', file))
    nodes[node.name] = node.content
  }
  markAbsent(nodes)
  const texts = { ...readTexts(raw, 'api'), ...readTexts(raw, 'controller') }
  if (overrides !== undefined) texts['overrides.yaml'] = readFileSync(overrides, 'utf8')
  for (const [path, text] of Object.entries(texts)) refuseSecrets(join(raw, path), text)
  const finishedAt = Math.max(...Object.values(nodes).map(node => node.finishedAt))
  const recordedAt = new Date(finishedAt * 1000).toISOString()
  const apiReadAt = /"creationTimestamp":\s*"([^"]+)"/.exec(texts['api/metrics-nodes.json'] ?? '')?.[1]
  writeRecording(out, {
    manifest: {
      suite,
      recordedAt,
      apiReadAt: apiReadAt === undefined ? recordedAt : new Date(Date.parse(apiReadAt)).toISOString(),
      target: `import of ${basename(raw)}`,
      complete: true,
    },
    nodes,
    texts,
  })
}

function readRawNode(path: string): { name: string; content: NodeContent } {
  const parsed = rawNode.safeParse(JSON.parse(readFileSync(path, 'utf8')))
  if (!parsed.success) throw new UserError(`${path}: not a raw node: ${z.prettifyError(parsed.error).split('\n')[0]}`)
  const { node, startedAt, finishedAt, commands, files } = parsed.data
  const content: NodeContent = {
    startedAt,
    finishedAt,
    commands: mapValues(commands, ({ command, exitCode, stdout, stderr, seconds, timedOut }) => ({
      command: typeof command === 'string' ? command : command.join(' '),
      exitCode: exitCode ?? null,
      seconds,
      ...(timedOut ? { timedOut } : {}),
      stdout: stdout ?? '',
      stderr: stderr ?? '',
    })),
    files: mapValues(files, ({ mode, owner, group, size, mtime, ...rest }) => ({
      mode: mode.replace(/^0o/, '0'),
      owner,
      group,
      size,
      mtime,
      ...(rest.linkTarget ? { linkTarget: rest.linkTarget } : {}),
      ...(rest.sha256 ? { sha256: rest.sha256 } : {}),
      ...(rest.withheld ? { withheld: rest.withheld } : {}),
      ...(typeof rest.content === 'string' ? { content: rest.content, ...redaction(rest.content, rest.sha256) } : {}),
    })),
  }
  for (const [id, command] of Object.entries(content.commands)) refuseSecrets(`${path} (${id})`, command.stdout)
  for (const [file, entry] of Object.entries(content.files)) refuseSecrets(`${path} (${file})`, entry.content ?? '')
  return { name: node, content }
}

/** A raw recording asks every node for the same files and leaves out those that are not there: what another node has is absent. */
function markAbsent(nodes: Record<string, NodeContent>): void {
  const everywhere = new Set(Object.values(nodes).flatMap(({ files }) => Object.keys(files)))
  for (const [name, node] of Object.entries(nodes)) {
    const absent = [...everywhere]
      .filter(path => !(path in node.files))
      .map(path => [path, { absent: 'no such file' }] as const)
    nodes[name] = { ...node, files: { ...node.files, ...Object.fromEntries(absent) } }
  }
}

function redaction(content: string, sha256: string | null | undefined): { redacted?: true } {
  return sha256 && createHash('sha256').update(content).digest('hex') !== sha256 ? { redacted: true } : {}
}

function readTexts(raw: string, folder: string): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const entry of readdirSync(join(raw, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    const bytes = readFileSync(file)
    const path = relative(raw, file)
    const text = path.endsWith('.gz') ? gunzipSync(bytes).toString('utf8') : bytes.toString('utf8')
    if (folder === 'api' && /^\s*\{/.test(text)) texts[path.replace(/\.txt$/, '.json')] = apiText(text)
    else texts[path.replace(/\.gz$/, '')] = text
  }
  return texts
}

function refuseSecrets(where: string, text: string): void {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----|client-key-data: (?!REDACTED)\S/.test(text)) {
    throw new UserError(`${where}: holds a private key. Recordings never do: remove it from the raw recording first.`)
  }
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))
}
