import { type Line, lines, match, ParseError, parser } from './parser.ts'

/** `== <name> <pid>`, then one argument a line. */
export const processes = parser(text => {
  const found: { name: string; pid: number; args: string[] }[] = []
  for (const line of lines(text)) {
    if (line.text.startsWith('== ')) {
      const [name = '', pid] = match(line, /^== (\S+) (\d+)$/, 'a process')
      found.push({ name, pid: Number(pid), args: [] })
    } else current(found, line).args.push(line.text)
  }
  if (found.length === 0) throw new ParseError('empty: no process')
  return found
})

export interface LimitedProcess {
  readonly pid: number
  readonly title: string
  /** Open files, soft and hard; Infinity for `unlimited`. */
  readonly softLimit: number
  readonly hardLimit: number
}

/** `== <pid> <command line>`, then the `Max open files` line of /proc/PID/limits. No process gives no line. */
export const limitedProcesses = parser(text => {
  const found: LimitedProcess[] = []
  let head: { pid: number; title: string } | undefined
  for (const line of lines(text)) {
    if (line.text.startsWith('== ')) {
      if (head) throw new ParseError(`no limits for process ${head.pid}`, line.number)
      const [pid, title = ''] = match(line, /^== (\d+) (.*?)\s*$/, 'a process')
      head = { pid: Number(pid), title }
    } else {
      if (head === undefined) throw new ParseError('limits without a process', line.number)
      found.push({ ...head, ...openFiles(line) })
      head = undefined
    }
  }
  if (head) throw new ParseError(`no limits for process ${head.pid}`)
  return found
})

function openFiles(line: Line): { softLimit: number; hardLimit: number } {
  const [soft, hard] = match(
    line,
    /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)\s+files\s*$/,
    'an open files limit',
  )
  const limit = (text: string | undefined) => (text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text))
  return { softLimit: limit(soft), hardLimit: limit(hard) }
}

function current<T>(found: readonly T[], line: Line): T {
  const last = found.at(-1)
  if (last === undefined) throw new ParseError('an argument without a process', line.number)
  return last
}
