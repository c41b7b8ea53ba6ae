import { lines, match, ParseError, parser, quote } from './parser.ts'

/** hosts(5): each address with its names, and whether an Ansible block is among the lines. */
export const hostsFile = parser(text => {
  const entries = lines(text)
    .map(line => ({ ...line, text: line.text.replace(/#.*$/, '') }))
    .filter(line => line.text.trim() !== '')
    .map(line => {
      const [address = '', names = ''] = match(line, /^\s*([0-9a-fA-F:.%\w]+)\s+(\S.*?)\s*$/, 'a hosts entry')
      if (!/^[0-9a-fA-F:.]+(%\w+)?$/.test(address))
        throw new ParseError(`not an address: ${quote(address)}`, line.number)
      return { address, names: names.split(/\s+/) }
    })
  if (entries.length === 0) throw new ParseError('empty: no hosts entry')
  return { entries, ansibleBlock: /^# Ansible inventory hosts BEGIN/m.test(text) }
})

export interface ResolvConf {
  readonly nameservers: readonly string[]
  readonly search: readonly string[]
  readonly options: readonly string[]
}

/** resolv.conf(5). */
export const resolvConf = parser((text): ResolvConf => {
  const values: Record<string, string[][]> = {}
  for (const line of lines(text)) {
    if (/^\s*[#;]/.test(line.text)) continue
    const [keyword = '', rest = ''] = match(
      line,
      /^\s*(nameserver|domain|search|options|sortlist)\s+(\S.*?)\s*$/,
      'a resolver line',
    )
    values[keyword] = [...(values[keyword] ?? []), rest.split(/\s+/)]
  }
  if (Object.keys(values).length === 0) throw new ParseError('empty: no resolver line')
  return {
    nameservers: (values['nameserver'] ?? []).flatMap(words => words.slice(0, 1)),
    search: values['search']?.at(-1) ?? values['domain']?.at(-1) ?? [],
    options: (values['options'] ?? []).flat(),
  }
})

/** `getent ahosts NAME`: the addresses, each once. */
export const resolvedAddresses = parser(text => {
  const addresses = lines(text).map(
    line => match(line, /^([0-9a-fA-F:.%\w]*[:.][0-9a-fA-F:.%\w]*)\s+(?:STREAM|DGRAM|RAW)\b/, 'an address')[0] ?? '',
  )
  if (addresses.length === 0) throw new ParseError('empty: no address')
  return [...new Set(addresses)]
})
