import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { certificate, servedCertificate } from './certificate.ts'
import { kubeconfig } from './kubeconfig.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

const files = 'recordings/case1-remediated/nodes/k8s-node1/files'
const read = (path: string) => readFileSync(`${files}${path}`, 'utf8')

test('a certificate: names, validity, issuer, key', () => {
  const ca = value(certificate(read('/etc/kubernetes/ssl/ca.crt')))
  const server = value(certificate(read('/etc/kubernetes/ssl/apiserver.crt')))
  expect(ca.commonName).toBe('kubernetes')
  expect(server.commonName).toBe('kube-apiserver')
  expect(server.subjectAltNames).toEqual(
    expect.arrayContaining(['k8s-node1', 'localhost', '127.0.0.1', '0:0:0:0:0:0:0:1', '10.233.0.1']),
  )
  expect(new Date(server.notAfter).toISOString()).toBe('2027-11-22T22:54:12.000Z')
  expect([server.isIssuedBy(ca), ca.isIssuedBy(server)]).toEqual([true, false])
  expect(server.rsaBits).toBe(2048)
  const kubelet = value(
    certificate(
      readFileSync(
        'recordings/case1-remediated/nodes/k8s-node4/files/var/lib/kubelet/pki/kubelet-client-2026-11-22-22-55-39.pem',
        'utf8',
      ),
    ),
  )
  expect([kubelet.commonName, kubelet.organizations, kubelet.rsaBits]).toEqual([
    'system:node:k8s-node4',
    ['system:nodes'],
    undefined,
  ])
  refused(certificate, 'x', 'no PEM certificate: "x"')
  refused(certificate, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', /./)
})

test('what openssl printed of a served certificate', () => {
  const print = `sha256 Fingerprint=${Array.from({ length: 32 }, () => 'aB').join(':')}\nnotAfter=Nov 22 22:54:12 2027 GMT\n`
  expect(value(servedCertificate(print)).fingerprint).toHaveLength(95)
  refused(servedCertificate, '', 'no SHA-256 fingerprint: ""')
})

test('a kubeconfig with embedded and one with referenced certificates', () => {
  const admin = value(kubeconfig(read('/etc/kubernetes/admin.conf')))
  expect([
    admin.server,
    admin.user,
    admin.ca?.commonName,
    admin.clientCertificate?.commonName,
    admin.hasInlineCredentials,
  ]).toEqual(['https://127.0.0.1:6443', 'kubernetes-admin', 'kubernetes', 'kubernetes-admin', true])
  const kubelet = value(kubeconfig(read('/etc/kubernetes/kubelet.conf')))
  expect([kubelet.clientCertificateFile, kubelet.clientCertificate, kubelet.hasInlineCredentials]).toEqual([
    '/var/lib/kubelet/pki/kubelet-client-current.pem',
    undefined,
    false,
  ])
  const info = value(
    kubeconfig(
      'kind: Config\ncurrent-context: ""\ncontexts: null\nusers: null\nclusters:\n- name: ""\n  cluster: {server: "https://a"}\n',
    ),
  )
  expect(info.server).toBe('https://a')
  refused(
    kubeconfig,
    'kind: Config\ncurrent-context: x\ncontexts: null\nusers: null\nclusters: []\n',
    'no cluster for the context "x"',
  )
})
