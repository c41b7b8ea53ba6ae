import { inspect, isDeepStrictEqual } from 'node:util'

/** One way in which the evidence differs from what is expected. */
export interface Finding {
  readonly what: string
  readonly expected: string
  readonly found: string
}

/**
 * The words in which an invariant compares. Every comparison is counted: a judgement that compared nothing is not a pass.
 * All of them go on after a difference, so that one verdict lists everything that is wrong.
 */
export class Check {
  readonly findings: Finding[] = []
  comparisons = 0

  equal(what: string, found: unknown, expected: unknown): void {
    this.that(what, isDeepStrictEqual(found, expected), found, expected)
  }

  /** The same members, in any order, each once. */
  sameSet(what: string, found: readonly string[], expected: readonly string[]): void {
    this.that(what, isDeepStrictEqual([...found].sort(), [...expected].sort()), [...found].sort(), [...expected].sort())
  }

  /** Everything expected is there; there may be more. */
  includes(what: string, found: readonly string[], expected: readonly string[]): void {
    const missing = expected.filter(one => !found.includes(one))
    const all = missing.length === expected.length && found.length <= 6
    this.that(what, missing.length === 0, all ? found : `without ${show(missing)}`, expected)
  }

  /** Nothing unwanted is there. */
  none(what: string, found: readonly unknown[]): void {
    this.that(what, found.length === 0, found, 'none')
  }

  atLeast(what: string, found: number, least: number): void {
    this.that(what, found >= least, found, `at least ${least}`)
  }

  atMost(what: string, found: number, most: number): void {
    this.that(what, found <= most, found, `at most ${most}`)
  }

  /** Anything else that must hold. */
  that(what: string, holds: boolean, found: unknown, expected: unknown): void {
    this.comparisons++
    if (!holds) this.findings.push({ what, expected: show(expected), found: show(found) })
  }
}

/** A value as a person reads it: text as it is, lists with commas, nothing as "not set". */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'not set'
  if (typeof value === 'string') return value === '' ? '(empty)' : value
  if (Array.isArray(value)) return value.length === 0 ? '(none)' : value.map(show).join(', ')
  return typeof value === 'object' ? JSON.stringify(value) : inspect(value)
}
