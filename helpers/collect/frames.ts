import type { NodeProbes } from '../evidence/probes.ts'
import { Answer, Garbled } from './answer.ts'

const MOST_GARBAGE = 64 * 1024
/** Characters of base64 in one frame: more than any batch or group of files gives. */
const MOST_FRAME = 256 * 1024 * 1024
/** Kinds of frames that are their first line alone. */
const WORDS: ReadonlySet<string> = new Set(['start', 'at', 'end', 'lacks'])

/** Reads the frames of a script's answer as they arrive, in pieces of any size. */
export class FrameReader {
  readonly answer: Answer
  /** Whether the last frame arrived. */
  ended = false
  /** The user that ran the script, by number; undefined before it started. */
  user: number | undefined
  /** The command that runs, by id; undefined before the first and after the last. */
  running: string | undefined
  readonly #mark: Buffer
  #pending: Buffer[] = []
  #size = 0
  #wanted = 0

  constructor(probes: NodeProbes, nonce: string) {
    this.answer = new Answer(probes, nonce)
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
    const line = bytes.toString('latin1', at + this.#mark.length, newline)
    const [kind = '', word = ''] = line.split(' ')
    if (WORDS.has(kind)) {
      this.#word(kind, word)
      return newline + 1
    }
    const size = Number(word)
    if (!/^\d+$/.test(word) || size > MOST_FRAME) throw new Garbled(`a frame of ${word} bytes`)
    const end = newline + 1 + size + 1
    if (bytes.length < end) {
      this.#wanted = end
      return 0
    }
    if (bytes[end - 1] !== 0x0a) throw new Garbled(`a ${kind} frame whose end is not where its length says`)
    this.answer.take(kind, Buffer.from(bytes.toString('latin1', newline + 1, end - 1), 'base64'))
    return end
  }

  #word(kind: string, word: string): void {
    if (kind === 'lacks') throw new Garbled(`the machine lacks the command ${word}, which collecting needs`)
    this.running = kind === 'at' ? word : undefined
    if (kind === 'end') this.ended = true
    else if (kind === 'at') return
    else if (/^\d+$/.test(word)) this.user = Number(word)
    else throw new Garbled('a start without the number of its user')
  }
}

function printable(bytes: Buffer): string {
  return JSON.stringify(bytes.toString('latin1', 0, 80))
}
