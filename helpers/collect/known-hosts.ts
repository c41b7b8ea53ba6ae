import { createHash, createHmac } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { Unreachable } from './machine.ts'

interface KnownKey {
  readonly patterns: string
  readonly type: string
  readonly key: string
  readonly marker: string | undefined
  readonly at: string
}

/**
 * The keys that known_hosts files hold. Format: https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT.
 * Host certificates are not checked (ssh2 does not offer them): a `@cert-authority` line only explains why a host is unknown.
 */
export class KnownHosts {
  readonly #keys: readonly KnownKey[]
  readonly #files: readonly string[]

  constructor(files: readonly string[]) {
    this.#files = files
    this.#keys = files.filter(file => existsSync(file)).flatMap(file => read(readFileSync(file, 'utf8'), file))
  }

  /** Key types on record for a host, so that the server is asked for one that can be compared. */
  typesOf(host: string, port: number): string[] {
    return [...new Set(this.#of(host, port).map(({ type }) => type))]
  }

  /**
   * Checks the key that a host shows.
   * @throws Unreachable with both fingerprints, for a key that is unknown, changed or revoked
   */
  verify(host: string, port: number, key: Buffer): void {
    const shown = fingerprint(key)
    const where = this.#files.join(', ')
    const known = this.#of(host, port)
    const encoded = key.toString('base64')
    if (this.#matching(host, port).some(one => one.marker === '@revoked' && one.key === encoded))
      throw new Unreachable(`the host key ${shown} is marked @revoked in ${where}: do not trust this machine`)
    if (known.some(one => one.key === encoded)) return
    const [other] = known
    if (other !== undefined) {
      const recorded = known.map(one => `${fingerprint(Buffer.from(one.key, 'base64'))} (${one.at})`).join(', ')
      throw new Unreachable(
        `host key changed: it shows ${shown}, known is ${recorded}. If the machine was made anew: ssh-keygen -R ${entry(host, port)}, then ssh-keyscan; if not, somebody is in between`,
      )
    }
    const authority = this.#matching(host, port).find(one => one.marker === '@cert-authority')
    const why = authority
      ? ` (${authority.at} names a certificate authority for it, which can not be checked here)`
      : ''
    throw new Unreachable(
      `unknown host key: it shows ${shown}, none is known for ${entry(host, port)} in ${where}${why}. Compare it on the machine (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: ssh-keyscan -p ${port} ${host} >> ~/.ssh/known_hosts`,
    )
  }

  #of(host: string, port: number): KnownKey[] {
    return this.#matching(host, port).filter(({ marker }) => marker === undefined)
  }

  #matching(host: string, port: number): KnownKey[] {
    const name = entry(host, port)
    return this.#keys.filter(({ patterns }) => matches(patterns, name))
  }
}

/** As known_hosts names a host: `host`, or `[host]:port` where the port is not 22. */
function entry(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`
}

/** `SHA256:…`, as ssh-keygen -l prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

function read(text: string, file: string): KnownKey[] {
  return text.split('\n').flatMap((line, index) => {
    const found = /^\s*(?:(@\S+)\s+)?([^#@\s]\S*)\s+(\S+)\s+([A-Za-z0-9+/=]+)/.exec(line)
    if (!found) return []
    const [, marker, patterns = '', type = '', key = ''] = found
    return [{ marker, patterns, type, key, at: `${file}:${index + 1}` }]
  })
}

function matches(patterns: string, name: string): boolean {
  if (patterns.startsWith('|1|')) {
    const [, , salt = '', hash = ''] = patterns.split('|')
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
  }
  let matched = false
  for (const pattern of patterns.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!')
    if (!glob(negated ? pattern.slice(1) : pattern).test(name)) continue
    if (negated) return false
    matched = true
  }
  return matched
}

function glob(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${escaped}$`)
}
