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
export const map = <T = unknown>(value: Readonly<Record<string, T>>): Variable<Readonly<Record<string, T>>> => ({ kind: 'map', value })

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
  if (value === undefined || value === null || value === '') return kind === 'string' && value === '' ? '' : undefined
  switch (kind) {
    case 'string':
      if (typeof value === 'object') throw new Error(`is ${JSON.stringify(value)}, a text is expected`)
      return typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value as string | number)
    case 'number':
      if (!/^[+-]?\d+(\.\d+)?$/.test(String(value).trim())) throw new Error(`is ${JSON.stringify(value)}, a number is expected`)
      return Number(value)
    case 'boolean':
      if (typeof value === 'boolean') return value
      if (/^(true|yes|on|1|y|t)$/i.test(String(value).trim())) return true
      if (/^(false|no|off|0|n|f)$/i.test(String(value).trim())) return false
      throw new Error(`is ${JSON.stringify(value)}, true or false is expected`)
    case 'list':
      if (Array.isArray(value)) return value
      throw new Error(`is ${JSON.stringify(value)}, a list is expected`)
    case 'map':
      if (typeof value === 'object' && !Array.isArray(value)) return value
      throw new Error(`is ${JSON.stringify(value)}, a mapping is expected`)
  }
}
