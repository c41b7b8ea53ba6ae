import { lines, match, ParseError, parser, value } from './parser.ts'

export interface HostRecap {
  readonly host: string
  readonly ok: number
  readonly changed: number
  readonly unreachable: number
  readonly failed: number
  readonly skipped: number
  readonly rescued: number
  readonly ignored: number
}

export interface TaskRun {
  /** `role : name`, as the log prints it. */
  readonly name: string
  readonly play: string
  /** Hosts by what the task did to them: ok, changed, skipping, fatal, included. */
  readonly hosts: ReadonlyMap<string, string>
  /** Hosts whose failure was ignored (`...ignoring`). */
  readonly ignored: readonly string[]
  readonly line: number
}

export interface AnsibleLog {
  readonly plays: readonly { readonly name: string; readonly line: number }[]
  readonly tasks: readonly TaskRun[]
  /** Of the last PLAY RECAP; empty where the run did not get there. */
  readonly recap: readonly HostRecap[]
  /** Whether the task profile (callback profile_tasks) follows the recap. */
  readonly profiled: boolean
  /** Milliseconds since the epoch of the last time stamp that profile_tasks printed. */
  readonly endedAt: number | undefined
}

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')

/** The output of ansible-playbook with or without colours, as kept in kubespray_install.log. */
export const ansibleLog = parser((text): AnsibleLog => {
  const plays: { name: string; line: number }[] = []
  const tasks: { name: string; play: string; hosts: Map<string, string>; ignored: string[]; line: number }[] = []
  let recap: HostRecap[] = []
  let inRecap = false
  let profiled = false
  let endedAt: number | undefined
  let fatalHost: string | undefined
  for (const line of lines(text.replace(COLOUR, ''))) {
    const heading = /^(PLAY|TASK|RUNNING HANDLER) \[(.*)\] \*+$/.exec(line.text)
    const result =
      /^(ok|changed|skipping|fatal|included|failed): (?:\[([^\]\s]+?)(?: -> [^\]]*)?\]|.* for (.+?)(?: => .*)?$)/.exec(
        line.text,
      )
    if (/^PLAY RECAP \*+$/.test(line.text)) {
      recap = []
      inRecap = true
    } else if (heading) {
      inRecap = false
      const [, kind, name = ''] = heading
      if (kind === 'PLAY') plays.push({ name, line: line.number })
      else tasks.push({ name, play: plays.at(-1)?.name ?? '', hosts: new Map(), ignored: [], line: line.number })
    } else if (inRecap && /^\S+ +: ok=/.test(line.text)) recap.push(readRecap(line))
    else if (/^=+\s*$/.test(line.text)) profiled = recap.length > 0
    else if (line.text === '...ignoring') {
      if (fatalHost !== undefined) tasks.at(-1)?.ignored.push(fatalHost)
    } else if (result) {
      const [, outcome = '', host, included = ''] = result
      for (const name of host === undefined ? included.split(', ') : [host])
        tasks.at(-1)?.hosts.set(name, stronger(tasks.at(-1)?.hosts.get(name), outcome))
      fatalHost = outcome === 'fatal' || outcome === 'failed' ? host : fatalHost
    } else endedAt = readTime(line.text) ?? endedAt
  }
  if (plays.length === 0) throw new ParseError('no PLAY line: not the output of ansible-playbook')
  return { plays, tasks, recap, profiled, endedAt }
})

/** The text itself, where it is the output of ansible-playbook. */
export const ansibleLogText = parser(text => {
  value(ansibleLog(text))
  return text
})

/** Within a loop a host reports once an item: what changed counts more than what was ok or skipped. */
function stronger(before: string | undefined, after: string): string {
  const order = ['skipping', 'included', 'ok', 'changed', 'failed', 'fatal']
  return before !== undefined && order.indexOf(before) > order.indexOf(after) ? before : after
}

function readRecap(line: { text: string; number: number }): HostRecap {
  const pattern =
    /^(\S+) +: ok=(\d+) +changed=(\d+) +unreachable=(\d+) +failed=(\d+)(?: +skipped=(\d+))?(?: +rescued=(\d+))?(?: +ignored=(\d+))?\s*$/
  const [host = '', ...counts] = match(line, pattern, 'a PLAY RECAP line')
  const [ok = 0, changed = 0, unreachable = 0, failed = 0, skipped = 0, rescued = 0, ignored = 0] = counts.map(Number)
  return { host, ok, changed, unreachable, failed, skipped, rescued, ignored }
}

/** `Sunday 22 November 2026  22:58:00 +0000 (0:00:00.219)       0:11:10.163 ***`. */
function readTime(text: string): number | undefined {
  const found = /^\w+ (\d{1,2} \w+ \d{4}) +(\d\d:\d\d:\d\d) ([+-]\d{4}) \(/.exec(text)
  return found ? Date.parse(`${found[1]} ${found[2]} ${found[3]}`) : undefined
}
