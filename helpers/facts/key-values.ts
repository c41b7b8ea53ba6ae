import { lines, match, ParseError, parser } from './parser.ts'

export type KeyValues = ReadonlyMap<string, string>

/** `sysctl -a`: `key = value` lines. */
export const liveSysctls = parser(text => keyValues(text, /^([\w.*/-]+) = ?(.*)$/, 'a sysctl'))

/** sysctl.conf(5): `key = value`, `-key = value`, comments with # or ;. */
export const sysctlFile = parser(text =>
  keyValues(withoutComments(text, /^\s*[#;].*$/), /^\s*-?([\w.*/-]+)\s*=\s*(.*?)\s*$/, 'a sysctl'),
)

/** `systemctl show -p …`, `timedatectl show`: `Key=value` lines. */
export const systemdProperties = parser(text => keyValues(text, /^([A-Za-z][A-Za-z0-9]*)=(.*)$/, 'a property'))

/** An environment file (etcd.env, kubelet.env, subnet.env, os-release): quotes taken off, lines joined at a trailing backslash. */
export const envFile = parser(text => {
  const joined = withoutComments(text, /^\s*#.*$/).replace(/\\\n/g, ' ')
  const values = keyValues(joined, /^\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)$/, 'a variable', true)
  return new Map(
    [...values].map(([key, value]) => [
      key,
      value
        .trim()
        .replace(/^(["'])(.*)\1$/s, '$2')
        .trim(),
    ]),
  )
})

function withoutComments(text: string, comment: RegExp): string {
  return text
    .split('\n')
    .map(line => line.replace(/\r$/, '').replace(comment, ''))
    .join('\n')
}

function keyValues(text: string, pattern: RegExp, what: string, multiline = false): KeyValues {
  const values = new Map<string, string>()
  for (const line of lines(multiline ? joinQuoted(text) : text)) {
    const [key = '', value = ''] = match(line, pattern, what)
    values.set(key, value)
  }
  if (values.size === 0) throw new ParseError(`empty: no ${what.replace(/^an? /, '')}`)
  return values
}

/** A double-quoted value may run over several lines: they become one. */
function joinQuoted(text: string): string {
  return text.replace(/"[^"]*"/g, quoted => quoted.replaceAll('\n', ' '))
}
