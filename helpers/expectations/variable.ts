export type Kind = 'string' | 'number' | 'boolean' | 'list' | 'map'

/** A variable's kind, which text from an inventory is read as, and its value in a release: literal, Jinja, or unset. */
export interface Variable<T> {
  readonly kind: Kind
  readonly value: unknown
  /** Never there: carries the type of the resolved value. */
  readonly type?: T
}

export const string = (value: string): Variable<string> => ({ kind: 'string', value })
export const number = (value: number | string): Variable<number> => ({ kind: 'number', value })
export const boolean = (value: boolean | string): Variable<boolean> => ({ kind: 'boolean', value })
export const list = <T = string>(value: readonly T[]): Variable<readonly T[]> => ({ kind: 'list', value })
export const map = <T = unknown>(value: Readonly<Record<string, T>>): Variable<Readonly<Record<string, T>>> => ({
  kind: 'map',
  value,
})

/** Variables that no release gives a default. */
export const unsetString: Variable<string | undefined> = { kind: 'string', value: undefined }
export const unsetNumber: Variable<number | undefined> = { kind: 'number', value: undefined }
export const unsetBoolean: Variable<boolean | undefined> = { kind: 'boolean', value: undefined }
export const unsetMap: Variable<Readonly<Record<string, unknown>> | undefined> = { kind: 'map', value: undefined }

/**
 * A resolved value as its kind. Text that means a boolean is read as Ansible's `bool` filter does ("False" is false).
 * @throws Error that says what the value is and what is expected
 */
export function coerce(kind: Kind, value: unknown): unknown {
  if (value === undefined || value === null) return undefined
  if (value === '') return kind === 'string' ? '' : undefined
  if (kind === 'list' && Array.isArray(value)) return value
  if (kind === 'map' && typeof value === 'object' && !Array.isArray(value)) return value
  const text = typeof value === 'string' ? value.trim() : JSON.stringify(value)
  if (kind === 'string' && typeof value === 'boolean') return value ? 'True' : 'False'
  if (kind === 'string' && typeof value !== 'object') return typeof value === 'string' ? value : text
  if (kind === 'number' && (typeof value === 'number' || /^[+-]?\d+(\.\d+)?$/.test(text))) return Number(value)
  if (kind === 'boolean' && /^(true|yes|on|1|y|t)$/i.test(text)) return true
  if (kind === 'boolean' && /^(false|no|off|0|n|f)$/i.test(text)) return false
  throw new Error(`is ${text}, a ${kind} is expected`)
}
