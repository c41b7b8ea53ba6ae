import { createHash } from 'node:crypto'
import type { CommandEvidence, FileEvidence } from '../recording/format.ts'
import type { NodeProbes } from '../evidence/probes.ts'
import { redact } from '../facts/secrets.ts'
import { MOST_BYTES } from './script.ts'

/** What a script's answer holds so far. */
export interface Answer {
  readonly commands: Record<string, Omit<CommandEvidence, 'kind'>>
  readonly files: Record<string, Omit<FileEvidence, 'kind'>>
  /** Why a command or file of the script was not read: by id or path. */
  readonly missing: Map<string, string>
}

/** An answer that is not what the script writes. */
export class Garbled extends Error {
  override readonly name = 'Garbled'
}

/** Kinds of frames that are their first line alone. */
const WORDS: ReadonlySet<string> = new Set(['start', 'end', 'lacks', 'skip'])

const MOST_GARBAGE = 64 * 1024

/** Reads the frames of a script's answer as they arrive, in pieces of any size. */
export class FrameReader implements Answer {
  readonly commands: Record<string, Omit<CommandEvidence, 'kind'>> = {}
  readonly files: Record<string, Omit<FileEvidence, 'kind'>> = {}
  readonly missing = new Map<string, string>()
  /** Whether the last frame arrived. */
  ended = false
  /** The user that ran the script, by number; undefined before it started. */
  user: number | undefined
  readonly #mark: Buffer
  readonly #probes: NodeProbes
  #pending: Buffer[] = []
  #size = 0
  #wanted = 0
  #output: { id: string; text: string; truncated: boolean } | undefined

  constructor(probes: NodeProbes, nonce: string) {
    this.#probes = probes
    this.#mark = Buffer.from(`@${nonce} `)
  }

  /** @throws Garbled where the answer can not be followed any further */
  feed(bytes: Buffer): void {
    this.#pending.push(bytes)
    this.#size += bytes.length
    if (this.#size < this.#wanted) return
    let rest = this.#pending.length === 1 ? bytes : Buffer.concat(this.#pending)
    this.#wanted = 0
    while (!this.ended) {
      const used = this.#frame(rest)
      if (used === 0) break
      rest = rest.subarray(used)
    }
    this.#pending = rest.length > 0 ? [rest] : []
    this.#size = rest.length
  }

  /** The commands and files that the script was asked for and that no frame told of, with the reason given. */
  lacking(reason: string): void {
    for (const { id } of this.#probes.commands) if (!(id in this.commands)) this.#lacks(id, reason)
    for (const { path } of this.#probes.files)
      if (!(path in this.files) && !/[*?]/.test(path)) this.#lacks(path, reason)
  }

  #lacks(name: string, reason: string): void {
    if (!this.missing.has(name)) this.missing.set(name, reason)
  }

  /** Reads one frame at the front; gives how many bytes it took, 0 where it is not whole yet. */
  #frame(bytes: Buffer): number {
    const at = bytes.indexOf(this.#mark)
    if (at === -1) {
      if (bytes.length > MOST_GARBAGE)
        throw new Garbled(`${bytes.length} bytes that are no answer: ${printable(bytes)}`)
      return 0
    }
    // Before the first frame a shell may print what it likes (banner, motd, .bashrc); between frames there is nothing.
    if (at > 0 && this.user !== undefined) throw new Garbled(`between two frames: ${printable(bytes.subarray(0, at))}`)
    const newline = bytes.indexOf(0x0a, at)
    if (newline === -1) return 0
    const [kind = '', length = '', ...rest] = bytes
      .toString('latin1', at + this.#mark.length, newline)
      .trimEnd()
      .split(' ')
    const size = Number(length)
    if (!Number.isInteger(size) || size < 0 || size > 2 * MOST_BYTES) throw new Garbled(`a frame of ${length} bytes`)
    if (WORDS.has(kind)) {
      this.#word(kind, rest[0] ?? '')
      return newline + 1
    }
    const end = newline + 1 + size + 1
    if (bytes.length < end) {
      this.#wanted = end
      return 0
    }
    const payload = Buffer.from(bytes.toString('latin1', newline + 1, end - 1), 'base64')
    if (bytes[end - 1] !== 0x0a) throw new Garbled(`a ${kind} frame whose end is not where its length says`)
    this.#payload(kind, rest, payload)
    return end
  }

  #word(kind: string, word: string): void {
    if (kind === 'start') this.user = Number(word)
    else if (kind === 'end') this.ended = true
    else if (kind === 'lacks') throw new Garbled(`the machine lacks the command ${word}, which collecting needs`)
    else this.missing.set(word, NEEDS_ROOT)
  }

  #payload(kind: string, [id = '', began = '', ended = '']: string[], payload: Buffer): void {
    if (kind === 'out') {
      const truncated = payload.length > MOST_BYTES
      this.#output = { id, text: decoded(payload.subarray(0, MOST_BYTES)), truncated }
    } else if (kind === 'err') this.#command(id, Number(ended) - Number(began), decoded(payload))
    else if (kind === 'file') this.#file(payload)
    else throw new Garbled(`a frame of the unknown kind ${kind}`)
  }

  #command(id: string, seconds: number, errors: string): void {
    const probe = this.#probes.commands.find(one => one.id === id)
    const output = this.#output
    if (!probe || output?.id !== id) throw new Garbled(`the end of ${id}, which was not begun`)
    const at = errors.lastIndexOf('\n')
    const status = Number(errors.slice(at + 1))
    const timedOut = (status === 124 || status === 137) && seconds >= probe.limit - 0.1
    this.commands[id] = {
      command: probe.command,
      exitCode: timedOut || at === -1 ? null : status,
      seconds: Math.round(seconds * 100) / 100,
      ...(timedOut ? { timedOut } : {}),
      ...(output.truncated ? { truncated: true } : {}),
      stdout: output.text,
      stderr: errors.slice(0, Math.max(0, at)),
    }
  }

  #file(payload: Buffer): void {
    const [path = '', what = '', linkTarget = '', sha256 = '', kept = ''] = payload.toString('utf8').split('\n', 5)
    if (what === 'denied') this.missing.set(path, NEEDS_ROOT)
    else if (what === 'absent') this.files[path] = { absent: 'no such file' }
    else if (what === 'special') this.files[path] = { withheld: 'not a plain file' }
    else {
      const [, mode = '', owner = '', group = '', size, mtime] = what.split(' ')
      const head = [path, what, linkTarget, sha256, kept].reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)
      this.files[path] = {
        mode: mode.padStart(4, '0'),
        owner,
        group,
        size: Number(size),
        mtime: Number(mtime),
        ...(linkTarget === '' ? {} : { linkTarget }),
        ...(/^[0-9a-f]{64}/.test(sha256) ? { sha256: sha256.slice(0, 64) } : {}),
        ...content(kept, payload.subarray(head), sha256.slice(0, 64)),
      }
    }
  }
}

export const NEEDS_ROOT = 'it can be read by root only, and collecting was not root there: use --become'

function content(kept: string, bytes: Buffer, sha256: string): Pick<FileEvidence, 'content' | 'withheld' | 'redacted'> {
  if (kept === 'key') return { withheld: 'private key material' }
  if (kept === 'digest') return { withheld: 'script text; digest only' }
  if (kept !== 'content') return { withheld: NEEDS_ROOT }
  if (bytes.length > MOST_BYTES) return { withheld: `larger than ${MOST_BYTES} bytes` }
  const text = decoded(bytes)
  const changed = createHash('sha256').update(text).digest('hex') !== sha256
  return { content: text, ...(changed ? { redacted: true } : {}) }
}

/** Text as a recording holds it: UTF-8, other bytes as U+FFFD, and no secret. */
function decoded(bytes: Buffer): string {
  return redact(bytes.toString('utf8'))
}

function printable(bytes: Buffer): string {
  return JSON.stringify(bytes.toString('latin1', 0, 80))
}
