import { UserError } from '../../recording/errors.ts'

const RANGE = /\[([0-9a-zA-Z]+):([0-9a-zA-Z]+)(?::(\d+))?\]/
const MOST = 100_000

/**
 * The host names of a pattern with ranges: `node[01:12]`, `rack[a:c]-[1:9:2]`.
 * Source: https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html#adding-ranges-of-hosts
 * @throws UserError at the given place
 */
export function expandRange(pattern: string, where: string): string[] {
  const found = RANGE.exec(pattern)
  if (!found) return [pattern]
  const [whole, first = '', last = '', stride] = found
  const step = stride === undefined ? 1 : Number(stride)
  const ends =
    /^\d+$/.test(first) && /^\d+$/.test(last)
      ? [Number(first), Number(last)]
      : [first.charCodeAt(0), last.charCodeAt(0)]
  const numeric = /^\d+$/.test(first)
  const [from = 0, to = 0] = ends
  const mixed = numeric !== /^\d+$/.test(last) || (!numeric && (first.length > 1 || last.length > 1))
  if (mixed || from > to || step < 1 || (to - from) / step > MOST) {
    throw new UserError(
      `${where}: not a range: ${whole}. Write [first:last] with first ≤ last, both numbers or both one letter.`,
    )
  }
  const names: string[] = []
  for (let at = from; at <= to; at += step) {
    const text = numeric ? String(at).padStart(first.startsWith('0') ? first.length : 0, '0') : String.fromCharCode(at)
    names.push(...expandRange(pattern.replace(whole, text), where))
  }
  return names
}
