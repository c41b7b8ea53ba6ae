import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { redact, redactingSed, secretsIn } from './secrets.ts'

const key = '-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----'

test.each([
  ['ansible_password=hunter2 ansible_port=22', 'ansible_password=REDACTED ansible_port=22'],
  ['ansible_become_pass: "hun ter2"', 'ansible_become_pass: "REDACTED"'],
  ["db_password='x y'", "db_password='REDACTED'"],
  ['{"ansible_ssh_pass": "abc", "b": 1}', '{"ansible_ssh_pass": "REDACTED", "b": 1}'],
  [String.raw`"{\"password\": \"abc\"}"`, String.raw`"{\"password\": \"REDACTED\"}"`],
  ['    client-key-data: LS0tabc=', '    client-key-data: REDACTED'],
  ['authorization = ["Basic abc"]', 'authorization = REDACTED'],
  ['token: abcdef.0123456789abcdef', 'token: REDACTED(bootstrap token)'],
  ['http_proxy: http://user:pass@proxy:3128', 'http_proxy: http://REDACTED(credentials)@proxy:3128'],
  ['kubeadm join --token secret --v=5', 'kubeadm join --token REDACTED(value) --v=5'],
  [`--certificate-key ${'0a'.repeat(32)}`, '--certificate-key REDACTED(certificate key)'],
  ['Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2ln', 'Bearer REDACTED(token)'],
  [`a\n${key}\nb`, 'a\nREDACTED(private key)\nb'],
  [key.split('\n').slice(0, 2).join('\n'), 'REDACTED(private key)'],
  [`x: ${Buffer.from(key).toString('base64')}`, 'x: REDACTED(private key)'],
  [`x: ${Buffer.from(` ${key}`).toString('base64')}`, `x: ${Buffer.from(` ${key}`).toString('base64')}`],
])('%j is told as %j', (text, told) => {
  expect(redact(text)).toBe(told)
  expect(redact(told)).toBe(told)
})

test.each([
  'kube_encrypt_secret_data: false',
  'kubeadm_certificate_key: "{{ certificate_key }}"',
  'kube_token_dir: /etc/kubernetes/tokens',
  'password: ""',
  'vault_password: !vault |',
  'token:\n  mode: Webhook',
  'ETCD_INITIAL_CLUSTER_TOKEN=k8s_etcd',
  '"name": "metrics-server.18ea80112a2ab2cc"',
  'rotateCertificates: true',
])('%j is no secret', text => {
  expect(redact(text)).toBe(text)
})

test('what is redacted is still counted, so that a secret where none may be is found', () => {
  const text = `token abcdef.0123456789abcdef\n${key}\ncertificate_key: ${'0a'.repeat(32)}\n`
  expect(secretsIn(text)).toEqual({ tokens: 1, privateKeys: 1, certificateKeys: 1 })
  expect(secretsIn(redact(text))).toEqual({ tokens: 1, privateKeys: 1, certificateKeys: 1 })
  expect(secretsIn('nothing')).toEqual({ tokens: 0, privateKeys: 0, certificateKeys: 0 })
})

test("the node's own sed takes keys, tokens and passwords out of files, and leaves the rest", () => {
  const kept = 'users:\n- name: x\n  rotate: true\ntoken:\n  mode: Webhook\n'
  const file = `${kept}    client-key-data: LS0t\n${key}\npassword = "hunter2"\nauthorization = ["Basic abc"]\n`
  const told = execFileSync('sed', ['-E', ...redactingSed('^@border').flatMap(script => ['-e', script])], {
    input: file,
    encoding: 'utf8',
  })
  expect(told.startsWith(kept)).toBe(true)
  expect(told).toMatch(/client-key-data: REDACTED/)
  expect(told).not.toMatch(/LS0t|MIIEow|hunter2|Basic abc/)
})

test('redacting does not hang on huge lines', () => {
  const pieces = [
    'a',
    ' ',
    '"',
    'a=b ',
    'token=',
    'eyJa.',
    'http://a:',
    '-----BEGIN PRIVATE KEY-----',
    '[" ',
    'x_password',
    '\\',
  ]
  for (const text of pieces.map(piece => piece.repeat(30_000))) expect(redact(text)).toBeTypeOf('string')
})
