import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import forge from 'node-forge'
import type { Recording } from '../recording/recording.ts'
import { mapAll } from './rename.ts'

/** One key for every synthetic certificate: nobody ever serves them, and making keys is slow. */
let shared: { readonly privateKey: KeyObject; readonly publicKey: forge.pki.rsa.PublicKey } | undefined

function sharedKey() {
  if (shared !== undefined) return shared
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  return (shared = { privateKey, publicKey: forge.pki.publicKeyFromPem(pem) })
}

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----/g
const EMBEDDED = /(certificate(?:-authority)?-data: )([A-Za-z0-9+/=]{100,})/g

/** Issues every certificate in a recording again under the new names: subject, alternative names and issuer renamed, validity kept. */
export function reissueCertificates(recording: Recording, rename: (text: string) => string): Recording {
  const fingerprints = new Map<string, string>()
  const issued = new Map<string, string>()
  const reissue = (pem: string): string => {
    const old = new X509Certificate(pem)
    const known = issued.get(old.fingerprint256)
    if (known !== undefined) return known
    const fresh = issue(old, rename)
    issued.set(old.fingerprint256, fresh)
    fingerprints.set(old.fingerprint256, new X509Certificate(fresh).fingerprint256)
    return fresh
  }
  const files = mapAll(recording, text =>
    text
      .replace(PEM, reissue)
      .replace(
        EMBEDDED,
        (_, name: string, data: string) =>
          `${name}${Buffer.from(reissue(Buffer.from(data, 'base64').toString())).toString('base64')}`,
      ),
  )
  return mapAll(files, text =>
    text.replace(/(?:[0-9A-F]{2}:){31}[0-9A-F]{2}/g, print => fingerprints.get(print) ?? print),
  )
}

/** The same key signs everything, so issuer and subject alone tell the authorities apart. */
function issue(old: X509Certificate, rename: (text: string) => string): string {
  const { privateKey, publicKey } = sharedKey()
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = publicKey
  certificate.serialNumber = old.serialNumber
  certificate.validity.notBefore = new Date(old.validFrom)
  certificate.validity.notAfter = new Date(old.validTo)
  certificate.setSubject(names(rename(old.subject)))
  certificate.setIssuer(names(old.issuer))
  const altNames = (old.subjectAltName ?? '').split(', ').filter(name => name !== '')
  certificate.setExtensions([
    { name: 'basicConstraints', cA: old.ca, critical: true },
    ...(altNames.length === 0
      ? []
      : [{ name: 'subjectAltName', altNames: altNames.map(name => altName(rename(name))) }]),
  ])
  // OpenSSL signs a hundred times as fast as JavaScript does.
  const signer = {
    sign: () =>
      sign(
        'sha256',
        Buffer.from(forge.asn1.toDer(certificate.tbsCertificate).getBytes(), 'binary'),
        privateKey,
      ).toString('binary'),
  }
  certificate.sign(signer as unknown as forge.pki.rsa.PrivateKey, forge.md.sha256.create())
  return forge.pki.certificateToPem(certificate).replaceAll('\r', '').trimEnd()
}

function names(distinguishedName: string): forge.pki.CertificateField[] {
  return distinguishedName.split('\n').map(part => {
    const at = part.indexOf('=')
    return { shortName: part.slice(0, at), value: part.slice(at + 1) }
  })
}

function altName(text: string): object {
  return text.startsWith('IP Address:')
    ? { type: 7, ip: text.slice('IP Address:'.length) }
    : { type: 2, value: text.replace(/^DNS:/, '') }
}
