import type { Evidence, Manifest, Source } from './format.ts'

/** A recorded cluster, opened and verified. It never changes: `with` gives an edited copy that shares the rest. */
export class Recording {
  readonly dir: string
  readonly manifest: Manifest
  readonly #evidence: ReadonlyMap<Source, Evidence>

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
    return [...this.#evidence.keys()].filter(source => source.startsWith(prefix)).sort()
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
