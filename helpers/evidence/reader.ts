import type { Parsed, Parser } from '../facts/parser.ts'
import { type CommandEvidence, type Evidence, type FileEvidence, pathOf, type Source } from '../recording/format.ts'
import type { Recording } from '../recording/recording.ts'
import { parsedOnce } from './parse-cache.ts'

/** Evidence that is missing, unreadable or garbled: whoever needs it is indeterminate. */
export class Indeterminate extends Error {
  override readonly name = 'Indeterminate'
  readonly source: Source

  constructor(source: Source, reason: string) {
    super(reason)
    this.source = source
  }
}

export interface Citation {
  readonly source: Source
  /** Where its text lies in the recording. */
  readonly path: string
}

/** A recording's citations, each made once: verdicts share them. */
const citationsOf = new WeakMap<Recording, Map<Source, Citation>>()

/** Reads a recording for one judgement and remembers every source that was asked for: reading is what cites. */
export class Reader {
  readonly recording: Recording
  readonly #citations = new Map<Source, Citation>()

  constructor(recording: Recording) {
    this.recording = recording
  }

  get citations(): Citation[] {
    return [...this.#citations.values()]
  }

  /** The standard output of a command, parsed. An exit status other than those allowed makes it unreadable. */
  command<T>(node: string, id: string, parse: Parser<T>, exitCodes: readonly number[] = [0]): T {
    const source = `nodes/${node}/commands/${id}`
    const evidence = this.#command(source, node, id)
    if (evidence.exitCode === null || !exitCodes.includes(evidence.exitCode)) {
      throw new Indeterminate(
        source,
        `${id} on ${node} ended with exit status ${evidence.exitCode ?? 'none'}${firstLine(evidence.stderr)}`,
      )
    }
    return this.#parse(source, evidence, parse, `${id} on ${node}`)
  }

  /** How a command ended, whatever it printed. A status other than those allowed says that the command did not do its work. */
  exitCode(node: string, id: string, exitCodes?: readonly number[]): number {
    const source = `nodes/${node}/commands/${id}`
    const { exitCode } = this.#command(source, node, id)
    if (exitCode === null || !Number.isInteger(exitCode) || exitCode < 0 || exitCode > 255) {
      throw new Indeterminate(source, `${id} on ${node} has no exit status`)
    }
    if (exitCodes !== undefined && !exitCodes.includes(exitCode)) {
      throw new Indeterminate(source, `${id} on ${node} ended with exit status ${exitCode}`)
    }
    return exitCode
  }

  /** The standard error of a command, parsed. */
  commandErrors<T>(node: string, id: string, parse: Parser<T>): T {
    const source = `nodes/${node}/commands/${id}`
    const evidence = this.#command(source, node, id)
    return this.#read(source, parse(evidence.stderr), `standard error of ${id} on ${node}`)
  }

  /** The content of a file, parsed. */
  file<T>(node: string, path: string, parse: Parser<T>): T {
    const { source, evidence } = this.#file(node, path)
    if (evidence.content === undefined) {
      throw new Indeterminate(
        source,
        `${path} on ${node} was not collected: ${evidence.withheld ?? 'no content recorded'}`,
      )
    }
    return this.#parse(source, evidence, parse, `${path} on ${node}`)
  }

  /** Mode, owner, times and digest of a file. */
  fileStatus(
    node: string,
    path: string,
  ): { mode: string; owner: string; group: string; mtime: number; sha256: string | undefined } {
    const { source, evidence } = this.#file(node, path)
    const { mode = '', owner = '', group = '', mtime } = evidence
    if (
      !/^0?[0-7]{3,4}$/.test(mode) ||
      !/^[\w-]+$/.test(owner) ||
      !/^[\w-]+$/.test(group) ||
      mtime === undefined ||
      !Number.isFinite(mtime)
    ) {
      throw new Indeterminate(source, `the status of ${path} on ${node} is unreadable`)
    }
    return { mode: mode.padStart(4, '0'), owner, group, mtime, sha256: evidence.sha256 }
  }

  /** Whether a file that was asked for is not on the node. */
  isAbsent(node: string, path: string): boolean {
    const source = `nodes/${node}/files${path}`
    const evidence = this.#get(source, `${path} was not recorded on ${node}${this.#unreachable(node)}`)
    if (evidence.kind === 'file' && evidence.absent !== undefined && evidence.mode === undefined) return true
    return this.fileStatus(node, path).mode === ''
  }

  /** A text of the controller's or the API's side, parsed. */
  text<T>(source: Source, parse: Parser<T>): T {
    const evidence = this.#get(source, `${source} was not recorded`)
    return this.#parse(source, evidence, parse, source)
  }

  has(source: Source): boolean {
    this.#cite(source, this.recording.get(source))
    return this.recording.get(source) !== undefined
  }

  #command(source: Source, node: string, id: string): CommandEvidence {
    const evidence = this.#get(source, `${id} was not recorded on ${node}${this.#unreachable(node)}`)
    if (evidence.kind !== 'command') throw new Indeterminate(source, `${source} is no command`)
    if (evidence.timedOut)
      throw new Indeterminate(source, `${id} on ${node} was ended at its time limit of ${evidence.seconds} s`)
    if (evidence.truncated)
      throw new Indeterminate(source, `the output of ${id} on ${node} was cut at the collector's limit`)
    return evidence
  }

  #file(node: string, path: string): { source: Source; evidence: FileEvidence } {
    const source = `nodes/${node}/files${path}`
    const evidence = this.#get(source, `${path} was not recorded on ${node}${this.#unreachable(node)}`)
    if (evidence.kind !== 'file') throw new Indeterminate(source, `${source} is no file`)
    if (evidence.absent !== undefined) throw new Indeterminate(source, `${path} is not on ${node}: ${evidence.absent}`)
    return { source, evidence }
  }

  #unreachable(node: string): string {
    const reason = this.recording.manifest.nodes[node]?.unreachable
    return reason === undefined ? '' : ` (not reached: ${reason})`
  }

  #get(source: Source, otherwise: string): Evidence {
    const evidence = this.recording.get(source)
    this.#cite(source, evidence)
    if (evidence === undefined) {
      const reason = this.recording.manifest.missing?.[source]
      throw new Indeterminate(source, reason === undefined ? otherwise : `${otherwise}: ${reason}`)
    }
    return evidence
  }

  #cite(source: Source, evidence: Evidence | undefined): void {
    if (this.#citations.has(source)) return
    let known = citationsOf.get(this.recording)
    if (!known) citationsOf.set(this.recording, (known = new Map<Source, Citation>()))
    let citation = known.get(source)
    if (!citation) known.set(source, (citation = { source, path: pathOf(source, evidence) }))
    this.#citations.set(source, citation)
  }

  #parse<T>(source: Source, evidence: Evidence, parse: Parser<T>, what: string): T {
    return this.#read(source, parsedOnce(evidence, parse), what)
  }

  #read<T>(source: Source, parsed: Parsed<T>, what: string): T {
    if (parsed.ok) return parsed.value
    const { line, message } = parsed.error
    throw new Indeterminate(source, `${what} can not be read: ${line === undefined ? '' : `line ${line}: `}${message}`)
  }
}

function firstLine(text: string): string {
  const line = text.trim().split('\n')[0] ?? ''
  return line === '' ? '' : `: ${line}`
}
