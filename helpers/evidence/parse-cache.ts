import type { Parsed, Parser } from '../facts/parser.ts'
import { type Evidence, textOf } from '../recording/format.ts'

/** A node's evidence of fewer characters stays parsed, for nodes are compared by it; so does what the API and the controller say. */
const SMALL = 512
/** Characters of the nodes' larger evidence that stays parsed: all of a usual cluster; of a large one what was read last. */
const MOST_CHARACTERS = 8 * 1024 * 1024

interface Entry {
  readonly parsed: Map<Parser<unknown>, Parsed<unknown>>
  readonly size: number
}

const kept = new WeakMap<Evidence, Map<Parser<unknown>, Parsed<unknown>>>()
/** Oldest first: a Map keeps the order in which its keys were set. */
const entries = new Map<Evidence, Entry>()
let size = 0

/** Parses a piece of evidence once, however many invariants read it and however many edited copies share it. */
export function parsedOnce<T>(evidence: Evidence, parse: Parser<T>): Parsed<T> {
  const known = (kept.get(evidence) ?? readAgain(evidence))?.get(parse) as Parsed<T> | undefined
  if (known !== undefined) return known
  const text = textOf(evidence)
  const parsed = parse(text)
  placeFor(evidence, text.length).set(parse, parsed)
  return parsed
}

/** What was read last is the last to go. */
function readAgain(evidence: Evidence): Entry['parsed'] | undefined {
  const entry = entries.get(evidence)
  if (entry === undefined) return undefined
  entries.delete(evidence)
  entries.set(evidence, entry)
  return entry.parsed
}

function placeFor(evidence: Evidence, length: number): Entry['parsed'] {
  const known = kept.get(evidence) ?? entries.get(evidence)?.parsed
  if (known !== undefined) return known
  const fresh: Entry['parsed'] = new Map()
  if (length < SMALL || evidence.kind === 'text') kept.set(evidence, fresh)
  else {
    entries.set(evidence, { parsed: fresh, size: length })
    size += length
    makeRoom()
  }
  return fresh
}

function makeRoom(): void {
  for (const [evidence, entry] of entries) {
    if (size <= MOST_CHARACTERS || entries.size === 1) return
    entries.delete(evidence)
    size -= entry.size
  }
}
