import type { Evidence, Manifest, Source } from './format.ts'

/** A recorded cluster, opened and verified. It never changes: `with` gives an edited copy that shares the rest. */
export class Recording {
  readonly dir: string
  readonly manifest: Manifest
  readonly #evidence: ReadonlyMap<Source, Evidence>
  #sorted: readonly Source[] | undefined

  constructor(dir: string, manifest: Manifest, evidence: ReadonlyMap<Source, Evidence>) {
    this.dir = dir
    this.manifest = manifest
    this.#evidence = evidence
  }

  /** The evidence of that name, or undefined where the recording has none. */
  get(source: Source): Evidence | undefined {
    return this.#evidence.get(source)
  }

  /** The names of all sources below a prefix, in order. */
  sources(prefix = ''): Source[] {
    const all = (this.#sorted ??= [...this.#evidence.keys()].sort())
    const from = firstFrom(all, prefix)
    let to = from
    while (all[to]?.startsWith(prefix) === true) to++
    return all.slice(from, to)
  }

  /** Names of the recorded nodes, in order. */
  get nodes(): string[] {
    return Object.keys(this.manifest.nodes).sort()
  }

  /** The moment of recording, in milliseconds since the epoch. */
  get recordedAt(): number {
    return Date.parse(this.manifest.recordedAt)
  }

  /** The moment at which the API was read, in milliseconds since the epoch. */
  get apiReadAt(): number {
    return Date.parse(this.manifest.apiReadAt)
  }

  /** A copy with some sources replaced, or removed where the new value is undefined. */
  with(changes: ReadonlyMap<Source, Evidence | undefined>): Recording {
    const evidence = new Map(this.#evidence)
    for (const [source, changed] of changes) {
      if (changed === undefined) evidence.delete(source)
      else evidence.set(source, changed)
    }
    return new Recording(this.dir, this.manifest, evidence)
  }
}

/** Where the first name stands, in a sorted list, that is not before another. */
function firstFrom(sorted: readonly string[], name: string): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? '') < name) low = middle + 1
    else high = middle
  }
  return low
}
