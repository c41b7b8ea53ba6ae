import { parseAllDocuments } from 'yaml'
import type { z } from 'zod'
import { shaped } from './json.ts'
import { ParseError, type Parser, parser } from './parser.ts'

/** The documents of a YAML text, in order. @throws ParseError with the line */
export function yamlDocuments(text: string): unknown[] {
  if (text.trim() === '') throw new ParseError('empty, YAML expected')
  const documents = parseAllDocuments(text, { version: '1.1', logLevel: 'silent', uniqueKeys: true })
  if (!Array.isArray(documents)) throw new ParseError('empty, YAML expected')
  return documents.map(document => {
    const error = document.errors[0]
    if (error) throw new ParseError(error.message.split('\n')[0] ?? error.code, error.linePos?.[0].line)
    return document.toJS({ maxAliasCount: 100 }) as unknown
  })
}

/** The only document of a YAML text, of a given shape. */
export function yaml<T>(schema: z.ZodType<T>): Parser<T> {
  return parser(text => shaped(schema, yamlDocuments(text)[0]))
}
