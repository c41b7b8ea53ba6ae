import { parseDocument, visit } from 'yaml'
import { UserError } from '../../recording/errors.ts'
import { Encrypted, type Origin } from './model.ts'

export interface VarsFile {
  readonly file: string
  /** Undefined where the whole file is vault-encrypted. */
  readonly settings: Map<string, { value: unknown; origin: Origin }> | undefined
  /** Keys that stand more than once; Ansible takes the last. */
  readonly duplicates: readonly { readonly key: string; readonly line: number }[]
}

/** Tags that Ansible's loader knows. */
const customTags = [
  { tag: '!vault', resolve: () => new Encrypted('vault-encrypted') },
  { tag: '!vault-encrypted', resolve: () => new Encrypted('vault-encrypted') },
  { tag: '!unsafe', resolve: (text: string) => text },
]

/**
 * A vars file (group_vars, host_vars, extra vars) as Ansible reads it: YAML 1.1, the last of duplicate keys.
 * @throws UserError that names file and line
 */
export function readVarsFile(text: string, file: string): VarsFile {
  if (text.startsWith('$ANSIBLE_VAULT;')) return { file, settings: undefined, duplicates: [] }
  const document = parseDocument(text, { version: '1.1', uniqueKeys: false, customTags, logLevel: 'silent' })
  const error = document.errors[0]
  if (error) throw new UserError(`${file}:${error.linePos?.[0].line ?? '?'}: not YAML: ${error.message.split('\n')[0]}`)
  const root = document.toJS({ maxAliasCount: 1000 }) as unknown
  if (root === null || root === undefined) return { file, settings: new Map(), duplicates: [] }
  if (typeof root !== 'object' || Array.isArray(root))
    throw new UserError(`${file}: not a mapping of variables to values.`)
  const lines = keyLines(document, text)
  const settings = new Map<string, { value: unknown; origin: Origin }>()
  for (const [key, value] of Object.entries(root))
    settings.set(key, { value, origin: { file, line: lines.get(key)?.at(-1) } })
  const duplicates = [...lines].filter(([, at]) => at.length > 1).map(([key, at]) => ({ key, line: at.at(-1) ?? 0 }))
  return { file, settings, duplicates }
}

/** The lines on which each key of the top level stands. */
function keyLines(document: ReturnType<typeof parseDocument>, text: string): Map<string, number[]> {
  const lines = new Map<string, number[]>()
  visit(document, {
    Pair: (_, pair, path) => {
      if (path.length > 2) return visit.SKIP
      const key = pair.key as { value?: unknown; range?: [number, number, number] | null } | null
      const name = String(key?.value)
      lines.set(name, [...(lines.get(name) ?? []), text.slice(0, key?.range?.[0] ?? 0).split('\n').length])
      return visit.SKIP
    },
  })
  return lines
}
