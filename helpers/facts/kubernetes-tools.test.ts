import { expect, test } from 'vitest'
import { clusterInfo, kubeadmCertificates, kubectlTable, kubectlTrace } from './kubernetes-tools.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

test('kubeadm certs check-expiration', () => {
  const { certificates } = value(
    kubeadmCertificates(
      '{"certificates":[{"name":"apiserver","expirationDate":"2027-11-22T22:54:12Z"},{"name":"super-admin.conf","expirationDate":null,"missing":true}],"certificateAuthorities":[{"name":"ca"}]}',
    ),
  )
  expect(certificates.map(({ name, missing }) => [name, missing])).toEqual([
    ['apiserver', false],
    ['super-admin.conf', true],
  ])
})

test('kubectl cluster-info, with and without colours', () => {
  expect(value(clusterInfo('Kubernetes control plane is running at https://127.0.0.1:6443\n')).url).toBe(
    'https://127.0.0.1:6443',
  )
  expect(
    value(clusterInfo('\u001b[0;32mKubernetes control plane\u001b[0m is running at \u001b[0;33mhttps://a:1\u001b[0m\n'))
      .url,
  ).toBe('https://a:1')
  refused(clusterInfo, 'x', 'not the output of kubectl cluster-info: "x"')
})

test('kubectl -v=6, of old and new releases', () => {
  const trace =
    'I1 loader.go:402] Config loaded from file:  /root/.kube/config\nI1 round_trippers.go:560] GET https://a/api?timeout=32s 200 OK in 6 milliseconds\nI1 "Response" verb="GET" url="https://b/api" status="403 Forbidden" milliseconds=1\n'
  expect(value(kubectlTrace(trace))).toEqual({
    loadedFrom: '/root/.kube/config',
    requests: [
      { url: 'https://a/api?timeout=32s', status: 200 },
      { url: 'https://b/api', status: 403 },
    ],
  })
  refused(kubectlTrace, '', 'no trace of kubectl -v=6')
})

test('tables', () => {
  const table =
    'I1122 23:01:30.487786   1 loader.go] x\nNAME        STATUS   OS-IMAGE\nk8s-node1   Ready    Debian GNU/Linux 12 (bookworm)\n'
  expect(value(kubectlTable(table))).toEqual([
    { NAME: 'k8s-node1', STATUS: 'Ready', 'OS-IMAGE': 'Debian GNU/Linux 12 (bookworm)' },
  ])
  refused(kubectlTable, '', 'not a kubectl table: ""')
  refused(kubectlTable, 'NAME   STATUS\na', 'line 2: 1 cells below 2 titles')
})
