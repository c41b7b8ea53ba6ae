import { z } from 'zod'
import { json } from './json.ts'
import { lines, match, ParseError, parser, quote } from './parser.ts'

/** `curl -sI`: the status line and the headers by lower-case name. */
export const httpHead = parser(text => {
  const [first, ...rest] = lines(text)
  if (first === undefined) throw new ParseError('empty: no status line')
  const [, status] = match(first, /^HTTP\/([\d.]+) (\d{3})\b/, 'an HTTP status line')
  const headers = new Map(
    rest
      .map(line => match(line, /^([A-Za-z0-9-]+):\s*(.*?)\s*$/, 'an HTTP header'))
      .map(([name = '', value = '']) => [name.toLowerCase(), value]),
  )
  return { status: Number(status), headers }
})

/** `curl -w '%{http_code}'`: the status, 0 where no connection was made. */
export const httpCode = parser(text => {
  if (!/^\d{3}\s*$/.test(text)) throw new ParseError(`not an HTTP status: ${quote(text.trim())}`)
  return Number(text)
})

/** What curl's own exit status tells, printed as `rc=56` behind what the server answered. */
export const curlResult = parser(text => {
  const found = /^([^]*?)rc=(\d{1,3})\s*$/.exec(text)
  if (!found) throw new ParseError(`no curl exit status: ${quote(text.trim())}`)
  return { body: found[1] ?? '', exitCode: Number(found[2]) }
})

/** `/version` of an API server. */
export const apiVersion = json(
  z.object({ gitVersion: z.string(), gitCommit: z.string(), goVersion: z.string(), platform: z.string() }),
)

/** `/livez?verbose`, `/readyz?verbose`: the checks by name, and whether each is ok. */
export const verboseHealth = parser(text => {
  const checks = new Map<string, boolean>()
  let verdict: string | undefined
  for (const line of lines(text)) {
    const check = /^\[([+-])\](\S+) (ok|failed\b.*|excluded\b.*)$/.exec(line.text)
    if (check) checks.set(check[2] ?? '', check[1] === '+')
    else verdict = match(line, /^(\w+ check (?:passed|failed)|warn: .*)$/, 'a health check')[0]
  }
  if (checks.size === 0) throw new ParseError('empty: no health check')
  return { checks, passed: verdict?.endsWith('passed') === true }
})

/** The kubelet's healthz: `ok`, or the checks that failed. */
export const plainHealth = parser(text => {
  if (/^ok\s*$/.test(text)) return true
  if (/^\[[+-]\]/m.test(text)) return false
  throw new ParseError(`not a health answer: ${quote(text.trim())}`)
})

/** nginx's stub_status: the active connections. */
export const stubStatus = parser(text => {
  const active = /^Active connections: (\d+)\s*$/m.exec(text)?.[1]
  if (active === undefined) throw new ParseError(`not nginx's stub_status: ${quote(text.trim())}`)
  return { active: Number(active) }
})
