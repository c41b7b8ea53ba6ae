import { createHash } from 'node:crypto'
import type { NodeProbes } from '../evidence/probes.ts'
import { redact } from '../facts/secrets.ts'
import type { CommandEvidence, FileEvidence } from '../recording/format.ts'
import { MOST_BYTES } from './script.ts'

/** An answer that is not what the script writes. */
export class Garbled extends Error {
  override readonly name = 'Garbled'
}

export const NEEDS_ROOT = 'it can be read by root only, and collecting was not root there: use --become'

type File = Omit<FileEvidence, 'kind'>
type Command = Omit<CommandEvidence, 'kind'>

/** One record of a frame: the words of its first line, and the bytes up to the next one. */
interface Told {
  readonly what: string
  readonly rest: string
  readonly body: Buffer
}

/** What a script's answer says, frame by frame, as evidence. */
export class Answer {
  readonly commands: Record<string, Command> = {}
  readonly files: Record<string, File> = {}
  /** Why a command or file of the script was not read: by id or path. */
  readonly missing = new Map<string, string>()
  readonly #probes: NodeProbes
  readonly #mark: Buffer
  /** Outputs of commands whose status is still to come. */
  readonly #printed = new Map<string, { readonly seconds: number; readonly stdout: Buffer }>()

  constructor(probes: NodeProbes, nonce: string) {
    this.#probes = probes
    this.#mark = Buffer.from(`@${nonce} `)
  }

  /** @throws Garbled */
  take(kind: string, payload: Buffer): void {
    const told = this.#records(payload)
    if (kind === 'out') this.#outputs(told)
    else if (kind === 'err') this.#errors(told)
    else if (kind === 'files') this.#takeFiles(told)
    else throw new Garbled(`a frame of the unknown kind ${kind}`)
  }

  /** Notes all that the script was asked for and that the answer does not tell of, with the reason given. */
  lacking(reason: string): void {
    for (const { id } of this.#probes.commands) if (!(id in this.commands)) this.#lacks(id, reason)
    for (const { path } of this.#probes.files)
      if (!(path in this.files) && !/[*?]/.test(path)) this.#lacks(path, reason)
  }

  #lacks(name: string, reason: string): void {
    if (!this.missing.has(name)) this.missing.set(name, reason)
  }

  #records(payload: Buffer): Told[] {
    const told: Told[] = []
    let at = payload.indexOf(this.#mark)
    while (at !== -1) {
      const newline = payload.indexOf(0x0a, at)
      if (newline === -1) break
      const next = payload.indexOf(this.#mark, newline)
      const [what = '', ...rest] = payload.toString('utf8', at + this.#mark.length, newline).split(' ')
      told.push({
        what,
        rest: rest.join(' '),
        body: payload.subarray(newline + 1, next === -1 ? payload.length : next),
      })
      at = next
    }
    return told
  }

  #outputs(told: readonly Told[]): void {
    for (const [index, { what, rest, body }] of told.entries()) {
      if (what === 'skip') this.missing.set(rest, NEEDS_ROOT)
      else if (what === 'run') this.#output(rest, body, told[index + 1])
      else if (what !== 'end') throw new Garbled(`${what} among the outputs of commands`)
    }
  }

  #output(id: string, body: Buffer, end: Told | undefined): void {
    const [ended, from, to] = end?.what === 'end' ? end.rest.split(' ') : []
    const seconds = Number(to) - Number(from)
    if (ended !== id || !Number.isFinite(seconds)) throw new Garbled(`when ${id} ended`)
    this.#printed.set(id, { seconds, stdout: own(body) })
  }

  #errors(told: readonly Told[]): void {
    for (const [index, { what, rest: id, body }] of told.entries()) {
      const next = told[index + 1]
      if (what === 'run' && next?.what === 'status') this.#command(id, Number(next.rest), own(body))
    }
    const [lost] = this.#printed.keys()
    if (lost !== undefined) throw new Garbled(`how ${lost} ended`)
  }

  #command(id: string, status: number, stderr: Buffer): void {
    const probe = this.#probes.commands.find(one => one.id === id)
    const printed = this.#printed.get(id)
    if (probe === undefined || printed === undefined || !Number.isInteger(status)) throw new Garbled(`how ${id} ended`)
    const { seconds, stdout } = printed
    this.#printed.delete(id)
    const timedOut = (status === 124 || status === 137) && seconds >= probe.limit - 0.1
    this.commands[id] = {
      command: probe.command,
      exitCode: timedOut ? null : status,
      seconds: Math.round(seconds * 100) / 100,
      ...(timedOut ? { timedOut } : {}),
      ...(stdout.length > MOST_BYTES ? { truncated: true } : {}),
      stdout: decoded(stdout.subarray(0, MOST_BYTES)),
      stderr: decoded(stderr),
    }
  }

  #takeFiles(told: readonly Told[]): void {
    for (const [index, { what, rest, body }] of told.entries()) {
      // The script says `whole` behind the last one: without it the frame was cut at its limit.
      const isCut = index === told.length - 1
      if (what === 'absent') this.files[rest] = { absent: 'no such file' }
      else if (what === 'special') this.files[rest] = { withheld: 'not a plain file' }
      else if (what === 'denied') this.missing.set(rest, NEEDS_ROOT)
      else if (what === 'stat') this.#status(rest)
      else if (what === 'key') this.#add(rest, { withheld: 'private key material' })
      else if (what === 'digest') this.#add(rest, { withheld: 'script text; digest only' })
      else if (what === 'link') this.#add(rest, { linkTarget: decoded(body).split('\n')[0] ?? '' })
      else if (what === 'sum') this.#add(rest.slice(66), { sha256: rest.slice(0, 64) })
      else if (what === 'content') this.#content(rest, body, isCut)
      else if (what !== 'whole') throw new Garbled(`${what} among the files`)
    }
  }

  #status(rest: string): void {
    const [, mode = '', owner = '', group = '', size, mtime, path = ''] =
      /^(\d+) (\S+) (\S+) (\d+) (\d+) (.*)$/.exec(rest) ?? []
    if (path === '') throw new Garbled(`the status of a file: ${rest}`)
    this.files[path] = { mode: mode.padStart(4, '0'), owner, group, size: Number(size), mtime: Number(mtime) }
  }

  /** @throws Garbled for a file without a status */
  #add(path: string, more: File): void {
    const file = this.files[path]
    if (file === undefined) throw new Garbled(`${path} without its status`)
    this.files[path] = { ...file, ...more }
  }

  #content(path: string, body: Buffer, isCut: boolean): void {
    const bytes = own(body)
    if (isCut || bytes.length > MOST_BYTES) return this.#add(path, { withheld: `larger than ${MOST_BYTES} bytes` })
    const content = decoded(bytes)
    const isChanged = createHash('sha256').update(content).digest('hex') !== this.files[path]?.sha256
    this.#add(path, { content, ...(isChanged ? { redacted: true } : {}) })
  }
}

/** What a command or file itself said: the newline before the next record is the script's. */
function own(body: Buffer): Buffer {
  return body.subarray(0, Math.max(0, body.length - 1))
}

/** Text as a recording holds it: UTF-8, other bytes as U+FFFD, and no secret. */
function decoded(bytes: Buffer): string {
  return redact(bytes.toString('utf8'))
}
