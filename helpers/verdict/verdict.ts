import type { Citation } from '../evidence/reader.ts'
import type { ReadVariable } from '../evidence/cluster.ts'
import type { Finding } from '../invariant/check.ts'
import type { CataloguedInvariant } from '../invariant/catalogue.ts'

export type Status = 'pass' | 'fail' | 'waived' | 'not applicable' | 'indeterminate'

/** What is to be said of one invariant on one subject. */
export interface Verdict {
  readonly invariant: CataloguedInvariant
  /** A node's name, or `cluster`. */
  readonly subject: string
  readonly status: Status
  /** What differs; where it fails or is waived. */
  readonly findings: readonly Finding[]
  /** Why it is not applicable or indeterminate. */
  readonly reason?: string | undefined
  /** Every source that was read. */
  readonly citations: readonly Citation[]
  /** The variables that the expectation was made of. */
  readonly variables: readonly ReadVariable[]
  /** The failing invariant that explains this one. */
  readonly impliedBy?: string | undefined
  /** Why the user accepts that this is indeterminate. */
  readonly knownGap?: string | undefined
  readonly waiver?: { readonly reason: string; readonly expires: string } | undefined
}

/** `<invariant>@<subject>`: stable across runs. */
export function keyOf({ invariant, subject }: Pick<Verdict, 'invariant' | 'subject'>): string {
  return `${invariant.id}@${subject}`
}
