import { parseAllDocuments } from 'yaml'
import type { z } from 'zod'
import { shaped } from './json.ts'
import { ParseError, type Parser, parser } from './parser.ts'

/** The documents of a YAML text, in order. @throws ParseError with the line */
export function yamlDocuments(text: string): unknown[] {
  if (text.trim() === '') throw new ParseError('empty, YAML expected')
  // Pretty errors take time that grows with the square of a hostile text: the line is counted here instead.
  const documents = parseAllDocuments(text, {
    version: '1.1',
    logLevel: 'silent',
    uniqueKeys: true,
    prettyErrors: false,
  })
  if (documents.length === 0) throw new ParseError('empty, YAML expected')
  return documents.map(document => {
    const error = document.errors[0]
    if (error)
      throw new ParseError(error.message.split('\n')[0] ?? error.code, text.slice(0, error.pos[0]).split('\n').length)
    return document.toJS({ maxAliasCount: 100 }) as unknown
  })
}

/** The only document of a YAML text, of a given shape. */
export function yaml<T>(schema: z.ZodType<T>): Parser<T> {
  return parser(text => shaped(schema, yamlDocuments(text)[0]))
}
