import { createHash } from 'node:crypto'
import { ParseError, parser, value } from './parser.ts'

/** One directive of an nginx configuration: `listen 127.0.0.1:6443;` or a block with directives of its own. */
export interface Directive {
  readonly name: string
  readonly args: readonly string[]
  readonly line: number
  readonly block?: readonly Directive[]
}

/** A block of an nginx configuration, asked by directive name. */
export class NginxBlock {
  readonly directives: readonly Directive[]

  constructor(directives: readonly Directive[]) {
    this.directives = directives
  }

  /** The arguments of the one directive of that name, as one text; undefined where it is not set. */
  value(name: string): string | undefined {
    return this.all(name)[0]?.args.join(' ')
  }

  all(name: string): Directive[] {
    return this.directives.filter(directive => directive.name === name)
  }

  /** The blocks of that name, and with these arguments where some are given. */
  blocks(name: string, ...args: string[]): NginxBlock[] {
    return this.all(name)
      .filter(({ block, args: own }) => block !== undefined && args.every((arg, index) => own[index] === arg))
      .map(({ block }) => new NginxBlock(block ?? []))
  }

  /** The first block of that name, empty where there is none. */
  block(name: string, ...args: string[]): NginxBlock {
    return this.blocks(name, ...args)[0] ?? new NginxBlock([])
  }
}

interface Token {
  readonly text: string
  readonly line: number
  readonly quoted: boolean
}

const DEEPEST = 64

/** nginx.conf with its nested blocks, as Kubespray's roles/kubernetes/node/templates/loadbalancer/nginx.conf.j2 writes it. */
export const nginxConf = parser(text => {
  const tokens = tokenize(text)
  const position = { at: 0 }
  const directives = readBlock(tokens, position, 0)
  if (directives.length === 0) throw new ParseError('no directive')
  return new NginxBlock(directives)
})

/** SHA-1 of an nginx configuration, in hexadecimal: what Kubespray writes into the annotation of nginx-proxy. */
export const nginxConfDigest = parser(text => {
  value(nginxConf(text))
  return createHash('sha1').update(text).digest('hex')
})

function readBlock(tokens: readonly Token[], position: { at: number }, depth: number): Directive[] {
  if (depth > DEEPEST) throw new ParseError('blocks nested too deep', tokens[position.at]?.line)
  const directives: Directive[] = []
  for (;;) {
    const first = tokens[position.at]
    if (first === undefined) {
      if (depth > 0) throw new ParseError('a block is not closed', tokens.at(-1)?.line)
      return directives
    }
    if (first.text === '}' && !first.quoted) {
      if (depth === 0) throw new ParseError('"}" without a block', first.line)
      position.at++
      return directives
    }
    directives.push(readDirective(tokens, position, depth))
  }
}

function readDirective(tokens: readonly Token[], position: { at: number }, depth: number): Directive {
  const words: Token[] = []
  for (;;) {
    const token = tokens[position.at++]
    if (token === undefined) throw new ParseError('a directive is not ended by ";"', words.at(-1)?.line)
    if (!token.quoted && (token.text === ';' || token.text === '{')) {
      const [name, ...args] = words.map(word => word.text)
      if (name === undefined || !/^[a-z_][a-z0-9_]*$/.test(name)) {
        throw new ParseError(`not a directive before "${token.text}"`, token.line)
      }
      const head = { name, args, line: words[0]?.line ?? token.line }
      return token.text === ';' ? head : { ...head, block: readBlock(tokens, position, depth + 1) }
    }
    if (!token.quoted && token.text === '}') throw new ParseError('"}" within a directive', token.line)
    words.push(token)
  }
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  const pattern = /(\n)|[^\S\n]+|#[^\n]*|([;{}])|"((?:[^"\\]|\\[^])*)"|'((?:[^'\\]|\\[^])*)'|([^\s;{}"']+)|([^])/g
  let line = 1
  for (const [all, newline, mark, double, single, word, stray] of text.matchAll(pattern)) {
    if (stray !== undefined) throw new ParseError(`a quote is not closed`, line)
    if (newline !== undefined) line++
    const token = mark ?? double ?? single ?? word
    if (token !== undefined) {
      tokens.push({ text: token, line, quoted: double !== undefined || single !== undefined })
      line += all.split('\n').length - 1
    }
  }
  return tokens
}
