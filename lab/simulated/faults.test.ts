import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collect } from '../../helpers/collect/collect.ts'
import { preflight } from '../../helpers/collect/preflight.ts'
import { CLUSTER } from '../../helpers/invariant/invariant.ts'
import { catalogue } from '../../helpers/invariant/catalogue.ts'
import { type Evidence, textOf } from '../../helpers/recording/format.ts'
import { openRecording } from '../../helpers/recording/open.ts'
import type { Recording } from '../../helpers/recording/recording.ts'
import { saveRecording } from '../../helpers/recording/write.ts'
import { lostWith } from '../../helpers/refute/lost.ts'
import { live, type LiveOptions } from '../../helpers/targets/live.ts'
import { expectationsFor, recordedOverrides } from '../../helpers/targets/recorded.ts'
import { judgeAll } from '../../helpers/verdict/judge.ts'
import type { Verdict } from '../../helpers/verdict/verdict.ts'
import { keyPair } from '../key-pair.ts'
import { ApiTwin, type Fault as ApiFault } from '../twin/api-server.ts'
import { SimulatedCluster, withoutKubectl } from './cluster.ts'
import type { Fault } from './node-server.ts'

/** The worker of the recording: what befalls it must change no other node's verdicts. */
const VICTIM = 'k8s-node4'
const invariants = await catalogue()
let well: SimulatedCluster
let api: ApiTwin
let healthy: Map<string, string>

beforeAll(async () => {
  well = await SimulatedCluster.start()
  api = await ApiTwin.start(() => well.recording)
  healthy = byKey((await read(well, well.options(api))).verdicts)
})
afterAll(async () => {
  await api.stop()
  await well.stop()
})

interface Read {
  readonly recording: Recording
  readonly verdicts: readonly Verdict[]
  readonly seconds: number
  readonly complete: boolean
}

async function read(
  cluster: SimulatedCluster,
  options: LiveOptions,
  more: { silence?: number; signal?: AbortSignal; answer?: number } = {},
): Promise<Read> {
  const signal = more.signal ?? new AbortController().signal
  const request = await live({ connectTimeout: '2', ...options }, signal)
  const out = join(cluster.folder, 'recording')
  rmSync(out, { recursive: true, force: true })
  const began = Date.now()
  const limits = { ...request.limits, silence: more.silence ?? 2_000, answer: more.answer ?? 2_000 }
  const controller = withoutKubectl(request.controller)
  const { complete } = await collect({ ...request, controller, limits, out, onProgress: () => {} }, signal)
  const seconds = (Date.now() - began) / 1000
  const recording = openRecording(out)
  const verdicts = judgeAll(invariants, recording, expectationsFor(recording, recordedOverrides(recording)))
  return { recording, verdicts, seconds, complete }
}

function byKey(verdicts: readonly Verdict[]): Map<string, string> {
  return new Map(verdicts.map(({ invariant, subject, status }) => [`${invariant.id}@${subject}`, status]))
}

/** Why collecting from the node failed, as the report tells it. */
function told({ verdicts }: Read): string {
  const verdict = verdicts.find(({ invariant, subject }) => invariant.id === 'inv-node-recorded' && subject === VICTIM)
  expect(verdict?.status).toBe('fail')
  return verdict?.findings.map(({ found }) => found).join('; ') ?? ''
}

/** Verdicts on other nodes that are not as those of the healthy cluster. */
function disturbed({ verdicts }: Read): string[] {
  return verdicts
    .filter(({ subject }) => subject !== VICTIM && subject !== CLUSTER)
    .filter(({ invariant, subject, status }) => healthy.get(`${invariant.id}@${subject}`) !== status)
    .map(({ invariant, subject, status }) => `${invariant.id}@${subject} ${status}`)
}

async function withFault(fault: Fault): Promise<Read> {
  const cluster = await SimulatedCluster.start({ faults: { [VICTIM]: fault } })
  const twin = await ApiTwin.start(() => cluster.recording)
  try {
    return await read(cluster, cluster.options(twin))
  } finally {
    await twin.stop()
    await cluster.stop()
  }
}

/** The healthy cluster, but for how one node is reached. */
async function reachedBy(settings: string, more: Partial<LiveOptions> = {}): Promise<Read> {
  const { sshConfig = '', ...options } = well.options(api)
  const address = '192.168.10.14'
  const config = well.write('other_ssh_config', `Host ${address}\n${settings}\n${readFileSync(sshConfig, 'utf8')}`)
  return read(well, { ...options, sshConfig: config, ...more })
}

test.each([
  ['silent', /no SSH handshake with 127\.0\.0\.1:\d+ within 2 s/],
  ['stalls', /it stalled: nothing arrived for 2 s/],
  ['cut', /the connection was cut|the script was ended half way/],
  ['garbles', /its answer can not be read: .*frame/],
  [
    'refuses',
    /authentication refused: 127\.0\.0\.1:\d+ does not let root in.*Check ansible_user and ansible_ssh_private_key_file/,
  ],
] as const)('a node that %s is named with its reason, and costs no other node a verdict', async (fault, reason) => {
  const result = await withFault(fault)
  expect(told(result)).toMatch(reason)
  expect(disturbed(result)).toEqual([])
  expect(result.seconds).toBeLessThan(6)
})

test('a node whose channel lingers after the answer is read whole', async () => {
  const result = await withFault('lingers')
  expect(byKey(result.verdicts)).toEqual(healthy)
})

test('what arrived before a node stalled is kept, and the rest says why it lacks', async () => {
  const { recording } = await withFault('stalls')
  expect(recording.get(`nodes/${VICTIM}/commands/hostname`)).toMatchObject({ stdout: `${VICTIM}\n` })
  expect(
    Object.values(recording.manifest.missing ?? {}).filter(why => why.startsWith('it stalled')).length,
  ).toBeGreaterThan(10)
})

test('a clock that is a day ahead is found', async () => {
  const { verdicts } = await withFault('day-ahead')
  const changed = verdicts.filter(
    ({ invariant, subject, status }) => status === 'fail' && healthy.get(`${invariant.id}@${subject}`) !== 'fail',
  )
  expect(changed.map(({ invariant }) => invariant.id)).toEqual(['os-time-sync'])
})

test('a node that answers as another machine is named', async () => {
  const { verdicts } = await withFault('same-as-first')
  const failed = verdicts
    .filter(({ subject, status }) => subject === VICTIM && status === 'fail')
    .map(({ invariant }) => invariant.id)
  expect(failed).toContain('os-hostname')
  expect(failed).toContain('inv-ip-local')
})

const closedPort = async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

test('connection refused', async () => {
  const result = await reachedBy(`  HostName 127.0.0.1\n  Port ${await closedPort()}`)
  expect(told(result)).toMatch(/connection refused by 127\.0\.0\.1:\d+: sshd does not run there/)
  expect(disturbed(result)).toEqual([])
})

/** The discard prefix of RFC 6666: no machine has a route there. */
const NOWHERE = '100::1'

test('no route', async () => {
  const result = await reachedBy(`  HostName ${NOWHERE}`)
  expect(told(result)).toMatch(/no route to 100::1:\d+ \(E\w+\): check ansible_host of k8s-node4|no SSH handshake/)
  expect(disturbed(result)).toEqual([])
})

test('a name that no server knows', async () => {
  const result = await reachedBy('  HostName no-such-host.invalid')
  expect(told(result)).toMatch(
    /the name no-such-host\.invalid can not be resolved \(E\w+\): set ansible_host of k8s-node4/,
  )
  expect(disturbed(result)).toEqual([])
})

test('a key whose passphrase is wrong, or not given', async () => {
  const key = well.write(
    'locked',
    ssh2.utils.generateKeyPairSync('ed25519', { passphrase: 'right', cipher: 'aes256-ctr', rounds: 16 }).private,
  )
  const result = await reachedBy(`  HostName 127.0.0.1\n  Port ${well.ports[VICTIM] ?? 0}\n  IdentityFile ${key}`)
  expect(told(result)).toContain(`the key ${key} has a passphrase; set SSH_KEY_PASSPHRASE, or load it into an agent`)
  process.env['SSH_KEY_PASSPHRASE'] = 'wrong'
  const wrong = await reachedBy(`  HostName 127.0.0.1\n  Port ${well.ports[VICTIM] ?? 0}\n  IdentityFile ${key}`)
  delete process.env['SSH_KEY_PASSPHRASE']
  expect(told(wrong)).toContain('has another passphrase than the one given')
})

test('a host key that changed, and one that is unknown, show both fingerprints and what to do', async () => {
  const other = well.write('other_known_hosts', `[127.0.0.1]:* ${keyPair().public}\n`)
  const port = `  HostName 127.0.0.1\n  Port ${well.ports[VICTIM] ?? 0}`
  const changed = await reachedBy(`${port}\n  UserKnownHostsFile ${other}`)
  expect(told(changed)).toMatch(
    /host key changed: it shows SHA256:\S{43}, known is SHA256:\S{43} \(.*other_known_hosts:1\).*ssh-keygen -R/,
  )
  const unknown = await reachedBy(`${port}\n  UserKnownHostsFile /nonexistent`)
  expect(told(unknown)).toMatch(
    /unknown host key: it shows SHA256:\S{43}, none is known for \[127\.0\.0\.1\]:\d+ in \/nonexistent.*ssh-keyscan -p/,
  )
  expect(disturbed(changed)).toEqual([])
})

test('a jump host that is down is named as such', async () => {
  const result = await reachedBy(
    `  HostName 127.0.0.1\n  Port ${well.ports[VICTIM] ?? 0}\n  ProxyJump 127.0.0.1:${await closedPort()}`,
  )
  expect(told(result)).toMatch(/jump host 127\.0\.0\.1: connection refused/)
  expect(disturbed(result)).toEqual([])
})

test('an interrupted run leaves a recording that opens and says that it is partial', async () => {
  const stop = new AbortController()
  const cluster = await SimulatedCluster.start({ faults: { [VICTIM]: 'stalls' } })
  const twin = await ApiTwin.start(() => cluster.recording)
  setTimeout(() => stop.abort(), 1_500)
  const { recording, complete, seconds } = await read(cluster, cluster.options(twin), {
    silence: 60_000,
    signal: stop.signal,
  })
  await twin.stop()
  await cluster.stop()
  expect(complete).toBe(false)
  expect(recording.manifest.complete).toBe(false)
  expect(seconds).toBeLessThan(4)
  expect(recording.nodes).toHaveLength(4)
})

/** What lacks of the API, and why. */
async function apiWith(fault: ApiFault, expired = false): Promise<Read & { missing: Record<string, string> }> {
  const twin = await ApiTwin.start(() => well.recording, { fault, expired })
  try {
    const result = await read(well, well.options(twin))
    const missing = Object.entries(result.recording.manifest.missing ?? {}).filter(([source]) =>
      source.startsWith('api/'),
    )
    return { ...result, missing: Object.fromEntries(missing.filter(([source]) => !source.includes('log-coredns'))) }
  } finally {
    await twin.stop()
  }
}

test('403 for one resource lacks with its remedy, and nothing else does', async () => {
  const { missing } = await apiWith(path => (path.endsWith('/priorityclasses') ? { status: 403 } : undefined))
  expect(Object.keys(missing)).toEqual(['api/priorityclasses.json'])
  expect(missing['api/priorityclasses.json']).toMatch(
    /403 the user of the kubeconfig may not read it: grant the ClusterRole of npm run probes/,
  )
})

test('429 with Retry-After is waited for', async () => {
  const { missing, verdicts } = await apiWith((path, call) =>
    path.endsWith('/nodes') && call === 1 ? { status: 429, headers: { 'retry-after': '1' } } : undefined,
  )
  expect(missing).toEqual({})
  expect(byKey(verdicts)).toEqual(healthy)
})

test('an API that is slow, broken or expired lacks with the reason', async () => {
  const slow = await apiWith(path => (path.endsWith('/leases') ? { status: 200, delay: 10_000 } : undefined))
  expect(slow.missing).toEqual({ 'api/leases.json': expect.stringContaining('no answer within 2 s') as string })
  const broken = await apiWith(path => (path.endsWith('/pods') ? { status: 500 } : undefined))
  expect(broken.missing['api/pods.json']).toMatch(/500/)
  const expired = await apiWith(() => undefined, true)
  expect(expired.missing['api/nodes.json']).toMatch(/certificate has expired/)
  expect(disturbed(expired).filter(line => line.endsWith(' fail'))).toEqual([])
})

test('an API that is down lacks with the reason', async () => {
  const twin = await ApiTwin.start(() => well.recording)
  const options = well.options(twin)
  await twin.stop()
  const { recording } = await read(well, options)
  expect(recording.manifest.missing?.['api/nodes.json']).toMatch(/ECONNREFUSED/)
})

test('a host of the inventory that is not in the cluster, and the reverse, are named', async () => {
  const options = well.options(api)
  const inventory = readFileSync(options.inventory, 'utf8')
  const more = inventory.replace(
    '[kube_node]\n',
    '[kube_node]\nk8s-node5 ansible_host=127.0.0.1 ansible_port=1 ip=192.168.10.15\n',
  )
  const fewer = inventory.replace(/^k8s-node4 .*$/m, 'k8s-node9 ansible_host=192.168.10.14 ip=192.168.10.14')
  const failures = async (text: string) => {
    const { verdicts } = await read(well, { ...options, inventory: well.write('inventory/mycluster/other.ini', text) })
    return verdicts
      .filter(({ status }) => status === 'fail')
      .map(({ invariant, subject }) => `${invariant.id}@${subject}`)
  }
  expect(await failures(more)).toContain('inv-node-recorded@k8s-node5')
  const renamed = await failures(fewer)
  expect(renamed).toContain('os-hostname@k8s-node9')
  expect(renamed).toContain('node-no-strangers@cluster')
})

test('preflight tells what the credentials would reach, without reading it', async () => {
  const cluster = await SimulatedCluster.start({ faults: { [VICTIM]: 'refuses' } })
  const fault: ApiFault = path => (path.endsWith('/leases') ? { status: 403 } : undefined)
  const twin = await ApiTwin.start(() => cluster.recording, { fault })
  const { signal } = new AbortController()
  const { machines, api: missing } = await preflight(await live(cluster.options(twin), signal), signal)
  await twin.stop()
  await cluster.stop()
  expect(machines.get('k8s-node1')).toBe(true)
  expect(machines.get(VICTIM)).toMatch(/authentication refused/)
  expect(Object.keys(missing)).toEqual(['api/leases.json'])
  const lost = await lostWith(invariants, openRecording('recordings/case1-remediated'))
  expect(lost.without(['api/leases.json'])).toContain('lease-leaders')
  expect(lost.withoutRoot('worker')).toContain('lb-sockets')
  expect(lost.withoutNode('worker')).toContain('lb-least-conn')
})

test('the first Ctrl-C ends with a partial recording, the second at once', async () => {
  const cluster = await SimulatedCluster.start({ faults: { [VICTIM]: 'stalls' } })
  const { inventory, extraVars = '', overrides = '', sshConfig = '' } = cluster.options(undefined)
  const start = (out: string) =>
    spawn(process.execPath, [
      ...['--import', 'tsx', 'helpers/cli/record.ts', '--inventory', inventory, '--extra-vars', extraVars],
      ...['--overrides', overrides, '--ssh-config', sshConfig, '--out', out],
    ])
  const out = join(cluster.folder, 'interrupted')
  const once_ = start(out)
  await once(once_.stderr, 'data')
  await new Promise(resolve => setTimeout(resolve, 800))
  once_.kill('SIGINT')
  const [status] = (await once(once_, 'exit')) as [number]
  expect(status).toBe(130)
  expect(openRecording(out).manifest).toMatchObject({ complete: false })
  const twice = start(join(cluster.folder, 'quit'))
  await once(twice.stderr, 'data')
  await new Promise(resolve => setTimeout(resolve, 800))
  twice.kill('SIGINT')
  twice.kill('SIGINT')
  const [second] = (await once(twice, 'exit')) as [number]
  expect(second).toBe(130)
  await cluster.stop()
})

test('without a kubeconfig the API is read through a control plane, whose admin.conf is kept nowhere', async () => {
  const recorded = openRecording('recordings/case1-remediated')
  const twin = await ApiTwin.start(() => recorded)
  const cluster = await SimulatedCluster.start({
    faults: { 'k8s-node1': 'silent' },
    api: { port: twin.port, kubeconfig: twin.kubeconfig() },
  })
  const { recording, verdicts } = await read(cluster, cluster.options(undefined))
  await cluster.stop()
  await twin.stop()
  expect(byKey(verdicts).get('node-ready@k8s-node4')).toBe('pass')
  const texts = recording.sources().map(source => textOf(recording.get(source)))
  expect(texts.filter(text => text.includes('canary-bearer-token'))).toEqual([])
})

test('one API server of three that is down is named on its own node, and fails on no other', async () => {
  const recorded = openRecording('recordings/case1-remediated')
  const changes = new Map<string, Evidence>()
  for (const source of recorded.sources('nodes/')) {
    const evidence = recorded.get(source)
    if (evidence?.kind !== 'command') continue
    const isItself = source.startsWith('nodes/k8s-node2/')
    if (
      /(curl-version|cert-served)-192\.168\.10\.12$/.test(source) ||
      (isItself && /curl-(local|self|livez|readyz)/.test(source))
    )
      changes.set(source, { ...evidence, exitCode: 7, stdout: '' })
    if (isItself && source.endsWith('ss-listen'))
      changes.set(source, { ...evidence, stdout: evidence.stdout.replace(/^.*:6443 .*\n/gm, '') })
  }
  const folder = join(well.folder, 'one-down')
  saveRecording(folder, recorded.with(changes))
  const cluster = await SimulatedCluster.start({ recording: folder })
  const twin = await ApiTwin.start(() => cluster.recording)
  const { verdicts } = await read(cluster, cluster.options(twin))
  await twin.stop()
  await cluster.stop()
  const failed = verdicts
    .filter(
      ({ invariant, subject, status }) => status === 'fail' && healthy.get(`${invariant.id}@${subject}`) !== 'fail',
    )
    .map(({ invariant, subject }) => `${invariant.id}@${subject}`)
  expect(failed).toContain('cp-apiserver-socket@k8s-node2')
  expect(failed.filter(key => !key.endsWith('@k8s-node2') && !key.endsWith('@cluster'))).toEqual([])
})
