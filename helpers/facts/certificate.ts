import { X509Certificate } from 'node:crypto'
import { lines, match, ParseError, parser, quote } from './parser.ts'

export interface Certificate {
  /** `CN=…` of the subject. */
  readonly commonName: string
  readonly organizations: readonly string[]
  /** DNS names and IP addresses, IPv6 in its long form as OpenSSL prints it. */
  readonly subjectAltNames: readonly string[]
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
  /** SHA-256 of the DER encoding: upper-case hex pairs with colons. */
  readonly fingerprint: string
  readonly serial: string
  /** Bits of an RSA key; undefined for other kinds. */
  readonly rsaBits: number | undefined
  /** Whether this CA signed it. */
  isIssuedBy(ca: Certificate): boolean
  readonly x509: X509Certificate
}

/** The first certificate of a PEM text. */
export const certificate = parser(readCertificate)

/** @throws ParseError */
export function readCertificate(pem: string): Certificate {
  const block = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/.exec(pem)?.[0]
  if (block === undefined) throw new ParseError(`no PEM certificate: ${quote(pem.trim())}`)
  const x509 = new X509Certificate(block)
  const subject = (name: string) =>
    x509.subject
      .split('\n')
      .filter(part => part.startsWith(`${name}=`))
      .map(part => part.slice(name.length + 1))
  return {
    commonName: subject('CN')[0] ?? '',
    organizations: subject('O'),
    subjectAltNames: readAltNames(x509.subjectAltName ?? ''),
    notBefore: Date.parse(x509.validFrom),
    notAfter: Date.parse(x509.validTo),
    fingerprint: x509.fingerprint256,
    serial: x509.serialNumber,
    rsaBits:
      x509.publicKey.asymmetricKeyType === 'rsa' ? x509.publicKey.asymmetricKeyDetails?.modulusLength : undefined,
    isIssuedBy: ca => x509.checkIssued(ca.x509) && x509.verify(ca.x509.publicKey),
    x509,
  }
}

/** `DNS:a, IP Address:1.2.3.4` as a list of plain names. */
function readAltNames(text: string): string[] {
  return text === '' ? [] : text.split(', ').map(name => name.replace(/^(DNS|IP Address):/, ''))
}

/** The fingerprints that `openssl x509` printed of one connection after the other, in order. */
export const servedCertificates = parser(text => {
  const fingerprints = lines(text).map(
    line => match(line, /^sha256 Fingerprint=((?:[0-9A-F]{2}:){31}[0-9A-F]{2})$/i, 'a SHA-256 fingerprint')[0] ?? '',
  )
  if (fingerprints.length === 0) throw new ParseError('empty: no connection was answered')
  return fingerprints.map(fingerprint => fingerprint.toUpperCase())
})

/** The fingerprint and, where asked for, the end date that `openssl x509` printed of a served certificate. */
export const servedCertificate = parser(text => {
  const fingerprint = /^sha256 Fingerprint=((?:[0-9A-F]{2}:){31}[0-9A-F]{2})\s*$/im.exec(text)?.[1]
  if (fingerprint === undefined) throw new ParseError(`no SHA-256 fingerprint: ${quote(text.trim())}`)
  return { fingerprint: fingerprint.toUpperCase() }
})
