import { expect } from 'vitest'
import type { Parser } from './parser.ts'

/** What a parser makes of a text: its value, or `line: reason`. For tests that are tables. */
export function parsed<T>(parse: Parser<T>, text: string): T | string {
  const result = parse(text)
  if (result.ok) return result.value
  return result.error.line === undefined ? result.error.message : `line ${result.error.line}: ${result.error.message}`
}

/** Expects a text to be refused with this message. */
export function refused(parse: Parser<unknown>, text: string, message: string | RegExp): void {
  const result = parse(text)
  expect(result.ok ? result.value : parsed(parse, text)).toEqual(
    typeof message === 'string' ? message : expect.stringMatching(message),
  )
}
