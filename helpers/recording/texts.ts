import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import type { CommandEvidence, commandEntry, FileEvidence, fileEntry, TextEvidence } from './format.ts'

/** Texts of fewer bytes are kept in memory. */
const SMALL = 8 * 1024
/** Bytes of larger ones that are kept: all of a usual recording. What is beyond is read again when it is asked for. */
const MOST_BYTES = 16 * 1024 * 1024

/** The texts of a recording, as evidence whose content is read when it is asked for. */
export class Texts {
  readonly #dir: string
  readonly #kept = new Map<string, string | undefined>()
  #size = 0

  constructor(dir: string) {
    this.#dir = dir
  }

  get paths(): IterableIterator<string> {
    return this.#kept.keys()
  }

  has(path: string): boolean {
    return this.#kept.has(path)
  }

  /** A file of the recording whose digest was verified. */
  add(path: string, bytes: Buffer): void {
    const isSmall = bytes.length < SMALL
    if (!isSmall) this.#size += bytes.length
    this.#kept.set(path, isSmall || this.#size <= MOST_BYTES ? bytes.toString('utf8') : undefined)
  }

  /** Undefined where the recording has no such file. */
  get(path: string): string | undefined {
    if (!this.#kept.has(path)) return undefined
    return this.#kept.get(path) ?? readFileSync(join(this.#dir, path), 'utf8')
  }

  text(path: string): TextEvidence {
    const read = () => this.get(path) ?? ''
    return {
      kind: 'text',
      get content() {
        return read()
      },
    }
  }

  /** @param path of its standard output */
  command(path: string, entry: z.infer<typeof commandEntry>): CommandEvidence {
    const read = (name: string) => this.get(name) ?? ''
    return {
      kind: 'command',
      ...entry,
      get stdout() {
        return read(path)
      },
      get stderr() {
        return read(path.replace(/\.stdout$/, '.stderr'))
      },
    }
  }

  file(path: string, entry: z.infer<typeof fileEntry>): FileEvidence {
    const read = () => this.get(path)
    return {
      kind: 'file',
      ...entry,
      get content() {
        return read()
      },
    }
  }
}
