/** Why a text could not be read as what it should be: the line (from 1) where that is known, and the reason. */
export class ParseError extends Error {
  override readonly name = 'ParseError'
  readonly line: number | undefined

  constructor(reason: string, line?: number) {
    super(reason)
    this.line = line
  }
}

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ParseError }

/** Text in, a typed value or a parse error out. Pure: it never throws and never hangs. */
export type Parser<T> = (text: string) => Parsed<T>

const LONGEST = 64 * 1024 * 1024

/** Makes a parser of a function that may throw: whatever it throws becomes the parse error. */
export function parser<T>(read: (text: string) => T): Parser<T> {
  return text => {
    if (text.length > LONGEST) return failed(new ParseError(`larger than ${LONGEST} characters`))
    try {
      return { ok: true, value: read(text) }
    } catch (error) {
      return failed(error instanceof ParseError ? error : new ParseError((error as Error).message.split('\n')[0] ?? ''))
    }
  }
}

function failed(error: ParseError): Parsed<never> {
  return { ok: false, error }
}

/** The value, for a parser that builds on another. @throws ParseError */
export function value<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw parsed.error
  return parsed.value
}

export interface Line {
  readonly text: string
  /** From 1. */
  readonly number: number
}

/** The lines that are not blank, without their line ends. */
export function lines(text: string): Line[] {
  return text
    .split('\n')
    .map((line, index) => ({ text: line.replace(/\r$/, ''), number: index + 1 }))
    .filter(line => line.text.trim() !== '')
}

/** The groups of a pattern that the whole line must match. @throws ParseError that quotes the line. */
export function match(line: Line, pattern: RegExp, what: string): string[] {
  const found = pattern.exec(line.text)
  if (!found) throw new ParseError(`not ${what}: ${quote(line.text)}`, line.number)
  return (found.slice(1) as (string | undefined)[]).map(group => group ?? '')
}

/** A text for a message: printable, in quotes, at most 60 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
