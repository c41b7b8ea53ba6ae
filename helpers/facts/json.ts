import { z } from 'zod'
import { ParseError, type Parser, parser, quote } from './parser.ts'

/** JSON of a given shape. Numbers beyond 2^53 keep their digits where the schema asks for a string (etcd's ids). */
export function json<T>(schema: z.ZodType<T>): Parser<T> {
  return parser(text => shaped(schema, parseJson(text)))
}

/** A value of a given shape. @throws ParseError that names the first field which differs. */
export function shaped<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new ParseError(`${issue?.path.join('.') || 'value'}: ${issue?.message ?? 'invalid'}`)
}

function parseJson(text: string): unknown {
  if (text.trim() === '') throw new ParseError('empty, JSON expected')
  try {
    return JSON.parse(text.replace(/([:[,]\s*)(\d{16,})(?=\s*[,}\]])/g, '$1"$2"'))
  } catch {
    throw new ParseError(`not JSON: ${quote(text.trimStart())}`)
  }
}

/** A list as the Kubernetes API returns it: the items, of a given shape. */
export function items<T>(schema: z.ZodType<T>): Parser<T[]> {
  return parser(text => shaped(z.object({ items: z.array(schema) }), parseJson(text)).items)
}
