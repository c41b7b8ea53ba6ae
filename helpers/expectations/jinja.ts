import ipaddr from 'ipaddr.js'
import nunjucks from 'nunjucks'

/** Looks a variable up for a template; undefined where it is not set. It may throw, for a variable that is itself unknown. */
export type Lookup = (name: string) => unknown

/** Whether a text holds a Jinja expression. */
export function isTemplate(value: unknown): value is string {
  return typeof value === 'string' && /\{\{|\{%/.test(value)
}

const environment = new nunjucks.Environment(null, { autoescape: false, throwOnUndefined: true })
environment.addFilter('split', (text: unknown, by = ' ') => String(text).split(String(by)))
environment.addFilter('bool', (value: unknown) => /^(true|yes|on|1)$/i.test(String(value)))
environment.addFilter('ansible.utils.ipaddr', ipAddress)
environment.addFilter('ipaddr', ipAddress)
environment.addFilter('kube_minor', (version: unknown) =>
  String(version).replace(/^v/, '').split('.').slice(0, 2).join('.'),
)

/**
 * Resolves a literal Jinja template as Ansible would, with the variables that `lookup` knows.
 * One variable alone keeps its type; everything else becomes text.
 * @throws Error for what it can not resolve: a lookup plugin, an unknown filter, an undefined variable
 */
export function resolveTemplate(text: string, lookup: Lookup): unknown {
  const alone = /^\{\{\s*([A-Za-z_]\w*)\s*\}\}$/.exec(text)?.[1]
  if (alone !== undefined) {
    const value = lookup(alone)
    if (value === undefined) throw new Error(`${alone} is undefined`)
    return value
  }
  const context = Object.fromEntries(
    [...new Set([...text.matchAll(/[A-Za-z_]\w*/g)].map(found => found[0]))]
      .map(name => [name, name === 'lookup' ? undefined : lookup(name)] as const)
      .filter(([, value]) => value !== undefined),
  )
  if (/\b(lookup|query|q)\s*\(/.test(text)) throw new Error('it calls a lookup plugin')
  return environment.renderString(text, context)
}

/** The part of `ansible.utils.ipaddr` that Kubespray's variables use: net, address, and the n-th address of a network. */
function ipAddress(value: unknown, query: unknown): string {
  const [address, bits] = ipaddr.parseCIDR(String(value).includes('/') ? String(value) : `${String(value)}/32`)
  if (query === 'address') return address.toString()
  const network =
    address.kind() === 'ipv4'
      ? ipaddr.IPv4.networkAddressFromCIDR(`${address.toString()}/${bits}`)
      : ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/${bits}`)
  if (query === 'net') return `${network.toString()}/${bits}`
  if (typeof query === 'number') return `${nthAddress(network, query)}/${bits}`
  throw new Error(`ipaddr(${String(query)}) is not known here`)
}

/** The n-th address from a network's first. */
export function nthAddress(network: ipaddr.IPv4 | ipaddr.IPv6, n: number): string {
  const bytes = network.toByteArray()
  let carry = n
  for (let at = bytes.length - 1; at >= 0 && carry > 0; at--) {
    const sum = (bytes[at] ?? 0) + carry
    bytes[at] = sum % 256
    carry = Math.floor(sum / 256)
  }
  return ipaddr.fromByteArray(bytes).toString()
}
