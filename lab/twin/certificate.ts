import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import forge from 'node-forge'

/** A self-signed certificate for 127.0.0.1, which is its own authority. */
export function selfSigned({ expired = false } = {}): { certificate: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey.export({ type: 'spki', format: 'pem' }).toString())
  certificate.serialNumber = '01'
  const day = 24 * 3600 * 1000
  certificate.validity.notBefore = new Date(Date.now() - 2 * day)
  certificate.validity.notAfter = new Date(Date.now() + (expired ? -day : day))
  const subject = [{ name: 'commonName', value: 'kubernetes' }]
  certificate.setSubject(subject)
  certificate.setIssuer(subject)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true },
    { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
  ])
  certificate.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create())
  return {
    certificate: forge.pki.certificateToPem(certificate),
    key: createPrivateKey(key).export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
