import { z } from 'zod'
import { json } from './json.ts'
import { lines, match, ParseError, parser, quote } from './parser.ts'

/** One word that the whole text is: a host name, `masked`, `tmpfs`, a path. */
export const word = parser(text => {
  const found = /^([\w./:@+-]+)\s*$/.exec(text)?.[1]
  if (found === undefined) throw new ParseError(`not one word: ${quote(text.trim())}`)
  return found
})

/** `date -u +%s.%N`: milliseconds since the epoch. */
export const clock = parser(text => {
  if (!/^\d{9,11}(\.\d+)?\s*$/.test(text)) throw new ParseError(`not a time: ${quote(text.trim())}`)
  return Number(text) * 1000
})

/** When the collecting machine began and ended with a node, in milliseconds since the epoch by its own clock; or why it could not be reached. */
export const collection = json(
  z.union([
    z.object({ unreachable: z.string() }),
    z
      .object({ startedAt: z.number(), finishedAt: z.number(), cut: z.string().optional() })
      .transform(({ startedAt, finishedAt, cut }) => ({
        unreachable: undefined,
        startedAt: startedAt * 1000,
        finishedAt: finishedAt * 1000,
        cut,
      })),
  ]),
)

/** /proc/meminfo: kibibytes by name. */
export const memoryInfo = parser(
  text =>
    new Map(
      lines(text)
        .map(line => match(line, /^([\w()]+):\s+(\d+)(?: kB)?$/, 'a memory value'))
        .map(([name = '', size]) => [name, Number(size)]),
    ),
)

/** /proc/swaps: the devices and files below the heading. */
export const swaps = parser(text => {
  const [head, ...rest] = lines(text)
  if (head === undefined || !/^Filename\s+Type\s+Size/.test(head.text)) throw new ParseError('not /proc/swaps')
  return rest.map(line => match(line, /^(\S+)\s+\w+\s+\d+\s+/, 'a swap')[0] ?? '')
})

/** fstab(5): device, mount point and type of each entry. */
export const fileSystemTable = parser(text =>
  lines(text)
    .filter(line => !/^\s*#/.test(line.text))
    .map(line => match(line, /^\s*(\S+)\s+(\S+)\s+(\S+)(?:\s+\S+)?(?:\s+\d+)?(?:\s+\d+)?\s*$/, 'an fstab entry'))
    .map(([device = '', mountPoint = '', type = '']) => ({ device, mountPoint, type })),
)

/** `df -P`: how full each file system is, in percent. */
export const diskUse = parser(text => {
  const [head, ...rest] = lines(text)
  if (head === undefined || !/^Filesystem\s/.test(head.text)) throw new ParseError('not the output of df')
  return rest
    .map(line => match(line, /^(\S+)\s+(\d+)\s+\d+\s+\d+\s+(\d+)%\s+(\/.*)$/, 'a file system'))
    .map(([, size, percent, mountPoint = '']) => ({ size: Number(size) * 1024, percent: Number(percent), mountPoint }))
})

/** `dpkg-query -W` or `rpm -q`: the installed packages by name. */
export const installedPackages = parser(text => {
  const names = lines(text)
    .filter(line => !/^package \S+ is not installed$/.test(line.text))
    .map(line => {
      const debian = /^(\S+) \S+ (install|hold|deinstall|unknown) ok (\S+)\s*$/.exec(line.text)
      if (debian) return debian[3] === 'installed' ? (debian[1] ?? '') : ''
      return match(line, /^([a-zA-Z0-9][\w.+-]*?)-\d[\w.~^+]*-[\w.~^+]+$/, 'a package')[0] ?? ''
    })
  if (names.length === 0) throw new ParseError('empty: no package')
  return new Set(names.filter(name => name !== ''))
})

/** `sha256sum` or `sha1sum`: digests by file name. */
export const digests = parser(text => {
  const found = new Map(
    lines(text)
      .map(line => match(line, /^([0-9a-f]{40}|[0-9a-f]{64}) [ *](.+)$/, 'a digest'))
      .map(([digest = '', name = '']) => [name, digest]),
  )
  if (found.size === 0) throw new ParseError('empty: no digest')
  return found
})

/** The names below /sys/module (and the lines of /proc/modules) that tell loaded modules. */
export const kernelModules = parser(
  text => new Set(lines(text).map(line => match(line, /^([a-z0-9_]+)(?:\s+\d+\s+\d+\s+.*)?$/, 'a module')[0] ?? '')),
)

/** `uname -a`: host, kernel release and machine. */
export const kernel = parser(text => {
  const found = /^Linux (\S+) (\S+) .* (x86_64|aarch64|\w+)(?: GNU\/Linux)?\s*$/.exec(text)
  if (!found) throw new ParseError(`not the output of uname -a: ${quote(text.trim())}`)
  return { host: found[1] ?? '', release: found[2] ?? '', machine: found[3] ?? '' }
})

/** `iptables-save`: the rules as they stand. */
export const iptablesRules = parser(text => {
  const rules = lines(text).map(line => match(line, /^(-A .+)$/, 'an iptables rule')[0] ?? '')
  if (rules.length === 0) throw new ParseError('empty: no rule')
  return rules
})

/** `systemctl --failed --plain`: the units. */
export const failedUnits = parser(text =>
  lines(text).map(line => match(line, /^(?:● )?(\S+\.\w+)\s+\S+\s+failed\b/, 'a unit')[0] ?? ''),
)

/** NetworkManager's `unmanaged-devices+=a;b` lines: the devices. */
export const unmanagedDevices = parser(text => {
  const found = [...text.matchAll(/^unmanaged-devices\+?=(.+)$/gm)].flatMap(line =>
    (line[1] ?? '').trim().split(/[;,]/),
  )
  if (found.length === 0) throw new ParseError('no unmanaged-devices line')
  return found
})
