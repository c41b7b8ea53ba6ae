/** What a secret is replaced by: the kind stays, so that a secret where none may be is still found. */
const mark = (kind: string) => `REDACTED(${kind})`

/** Names whose value is a secret, in YAML, INI, JSON and TOML. A boolean, a template, an empty value and a path are none. */
const SECRET_NAMES = [
  'client-key-data',
  'id-token',
  'refresh-token',
  'access-token',
  'auth',
  'authorization',
  'identitytoken',
  'certificate_?key',
  String.raw`[\w.-]*(?:password|passwd|passphrase|_pass|_pwd|secret|_token|private_key|access_key|api_key|encryption_key)`,
  'token',
  'jws-kubeconfig-[a-z0-9]+',
] as const

const NAME = String.raw`(?<![\w.-])(?!\w*initial[-_]cluster[-_]token)(?:${SECRET_NAMES.join('|')})`
const SEPARATOR = String.raw`(?:\\?["'])?[ \t]*[:=][ \t]*`
const HARMLESS = String.raw`(?:true|false|yes|no|null|None|~)(?![\w-])|REDACTED|\{\{|[|>!/]`
const QUOTED = String.raw`(?<quote>\\?"|')(?!${HARMLESS})(?:(?!\k<quote>)[^\n])+`
const LIST = String.raw`\[[ \t]*"(?!REDACTED)[^\]\n]*\]`
const BARE = String.raw`(?!${HARMLESS})[^\s"',{}[\]\\]+`
const named = new RegExp(`(${NAME}${SEPARATOR})(?:${QUOTED}|${LIST}|${BARE})`, 'gim')
const flags = /(--(?:token|certificate-key|password|discovery-token)[= ]+)(?!REDACTED|-)\S+/g
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$(?![\s\S]))/g
/** Base64 of a private key's first line, at each of the three places that base64 can begin. */
const encodedKey = /LS0tLS1CRUdJTi[A-Za-z0-9+/]{0,24}?(?:UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW)[A-Za-z0-9+/=]*/g
const bootstrapToken = /(?<![\w.-])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w-]|\.\w)/g
const jsonWebToken = /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g
const certificateKey = /(certificate[-_]?key["' :=\\]+)[0-9a-f]{64}\b/gi
const credentialsInUrl = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@:"']+:[^\s/@"']+@/gi

/** A text without the secrets in it: private keys, tokens, certificate keys, passwords by their names, credentials in URLs. */
export function redact(text: string): string {
  return text
    .replace(privateKey, mark('private key'))
    .replace(encodedKey, mark('private key'))
    .replace(certificateKey, (_, name: string) => `${name}${mark('certificate key')}`)
    .replace(bootstrapToken, mark('bootstrap token'))
    .replace(jsonWebToken, mark('token'))
    .replace(credentialsInUrl, (_, scheme: string) => `${scheme}${mark('credentials')}@`)
    .replace(flags, (_, flag: string) => `${flag}${mark('value')}`)
    .replace(named, (_, name: string, quote: string | undefined) => `${name}${quote ?? ''}REDACTED`)
}

/** How often a kind of secret stands in a text, in clear or redacted. */
export function secretsIn(text: string): { tokens: number; privateKeys: number; certificateKeys: number } {
  const count = (pattern: RegExp, kind: string) =>
    (text.match(pattern)?.length ?? 0) + text.split(mark(kind)).length - 1
  return {
    tokens: count(bootstrapToken, 'bootstrap token'),
    privateKeys: count(/-----BEGIN [A-Z ]*PRIVATE KEY-----/g, 'private key'),
    certificateKeys: count(certificateKey, 'certificate key'),
  }
}

/**
 * The same for `sed -E` on the node, line by line: keys and tokens in files never leave it.
 * @param border a line that stays, and ends a private key that has no end
 */
export const redactingSed = (border: string): string[] => [
  `/-----BEGIN [A-Z ]*PRIVATE KEY-----/,/-----END [A-Z ]*PRIVATE KEY-----|${border}/{/${border}/!d}`,
  String.raw`s/((^|[^A-Za-z0-9_.-])(client-key-data|id-token|refresh-token|access-token|token|auth|authorization|identitytoken|certificateKey|[A-Za-z0-9_.-]*(password|passwd|secret|_token))["']?[[:space:]]*[:=][[:space:]]*)(["']?)(\[?"?[^]["',{}[:space:]][^]["',{}]*)/\1\5REDACTED/`,
]
