import { UserError } from '../../recording/errors.ts'
import { InventorySource } from './model.ts'
import { expandRange } from './range.ts'

const SECTION = /^\[([^\]:]+)(?::(vars|children))?\]\s*(?:[#;].*)?$/

/**
 * An inventory in Ansible's INI format.
 * Source: https://docs.ansible.com/ansible/latest/collections/ansible/builtin/ini_inventory.html
 * @throws UserError that names file and line
 */
export function readIni(text: string, file: string): InventorySource {
  const source = new InventorySource()
  let section: { group: string; kind: string } = { group: 'ungrouped', kind: 'hosts' }
  const declared = new Set<string>()
  const children: { name: string; line: number }[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    const number = index + 1
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue
    const heading = SECTION.exec(line)
    if (heading) {
      section = { group: heading[1] ?? '', kind: heading[2] ?? 'hosts' }
      source.group(section.group)
      if (section.kind !== 'vars') declared.add(section.group)
    } else if (line.startsWith('[')) {
      throw new UserError(
        `${file}:${number}: not a section heading: ${line}. Write [group], [group:children] or [group:vars].`,
      )
    } else if (section.kind === 'children') {
      const child = line.split(/\s+/)[0] ?? ''
      source.addChild(section.group, child)
      children.push({ name: child, line: number })
    } else if (section.kind === 'vars') {
      const found = /^([^\s=]+)\s*=\s*(.*)$/.exec(line)
      if (!found) throw new UserError(`${file}:${number}: not "variable=value": ${line}`)
      source
        .group(section.group)
        .vars.set(found[1] ?? '', { value: literal(found[2] ?? ''), origin: { file, line: number } })
    } else readHost(source, section.group, line, file, number)
  }
  for (const { name, line } of children) {
    if (!declared.has(name)) {
      throw new UserError(
        `${file}:${line}: unknown group ${name}. Declare it with a section [${name}], or correct the name.`,
      )
    }
  }
  return source
}

function readHost(source: InventorySource, group: string, line: string, file: string, number: number): void {
  const [pattern = '', ...assignments] = words(line, file, number)
  for (const host of expandRange(pattern, `${file}:${number}`)) {
    const vars = source.addHost(group, host)
    for (const assignment of assignments) {
      const at = assignment.indexOf('=')
      if (at < 1) throw new UserError(`${file}:${number}: not "variable=value": ${assignment}`)
      vars.set(assignment.slice(0, at), { value: literal(assignment.slice(at + 1)), origin: { file, line: number } })
    }
  }
}

/** Splits as Python's shlex does: quotes group and vanish, a # starts a comment. */
function words(line: string, file: string, number: number): string[] {
  const found: string[] = []
  const pattern = /\s+|#.*$|((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+)|([^])/g
  for (const [, word, stray] of line.matchAll(pattern)) {
    if (stray !== undefined) throw new UserError(`${file}:${number}: a quote is not closed: ${line}`)
    if (word !== undefined)
      found.push(
        word.replace(
          /"((?:[^"\\]|\\.)*)"|'([^']*)'/g,
          (_, double?: string, single?: string) => double?.replace(/\\(["\\])/g, '$1') ?? single ?? '',
        ),
      )
  }
  return found
}

/** A value as Python's literal_eval reads it; what is no literal stays text. */
function literal(text: string): unknown {
  const value = text.replace(/\s+#.*$/, '')
  if (value === 'True') return true
  if (value === 'False') return false
  if (value === 'None') return null
  if (/^[+-]?\d+$/.test(value) && !/^[+-]?0\d/.test(value)) return Number(value)
  if (/^[+-]?\d+\.\d+$/.test(value)) return Number(value)
  const quoted = /^(["'])(.*)\1$/.exec(value)
  if (quoted) return quoted[2]
  if (/^[[{].*[\]}]$/.test(value)) {
    try {
      return JSON.parse(
        value
          .replaceAll("'", '"')
          .replace(/\bTrue\b/g, 'true')
          .replace(/\bFalse\b/g, 'false')
          .replace(/\bNone\b/g, 'null'),
      )
    } catch {
      return value
    }
  }
  return value
}
