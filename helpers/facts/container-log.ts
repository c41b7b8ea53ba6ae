import { lines, match, ParseError, parser } from './parser.ts'

export interface LogLine {
  /** Milliseconds since the epoch; nginx prints the container's clock, UTC. */
  readonly at: number
  readonly level: string
  readonly message: string
  readonly line: number
}

/** What nginx wrote to standard error, as `kubectl logs` prints it: `2026/11/22 23:00:17 [notice] 1#1: …`. */
export const nginxLog = parser(text =>
  lines(text).map((line): LogLine => {
    const pattern = /^(?:\S+Z std(?:err|out) [FP] )?(\d{4})\/(\d\d)\/(\d\d) (\d\d:\d\d:\d\d) \[(\w+)\] (.*)$/
    const [year, month, day, time, level = '', message = ''] = match(line, pattern, 'an nginx log line')
    return { at: Date.parse(`${year}-${month}-${day}T${time}Z`), level, message, line: line.number }
  }),
)

/** The lines of CoreDNS's log that tell of a forwarding loop; the log must name its version, so that it is one. */
export const coreDnsLoops = parser(text => {
  if (!/^CoreDNS-\d/m.test(text)) throw new ParseError("not CoreDNS's log: its version is not in it")
  return lines(text)
    .filter(line => /Loop .* detected/.test(line.text))
    .map(line => line.text)
})
