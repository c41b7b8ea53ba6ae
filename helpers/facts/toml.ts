import { parse } from 'smol-toml'
import type { z } from 'zod'
import { shaped } from './json.ts'
import { ParseError, type Parser, parser } from './parser.ts'

/** TOML of a given shape (containerd's config.toml). */
export function toml<T>(schema: z.ZodType<T>): Parser<T> {
  return parser(text => {
    if (text.trim() === '') throw new ParseError('empty, TOML expected')
    try {
      return shaped(schema, parse(text))
    } catch (error) {
      if (error instanceof ParseError) throw error
      const { line, message } = error as Error & { line?: number }
      throw new ParseError(message.split('\n')[0] ?? 'not TOML', line)
    }
  })
}
