import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { outsideAddresses, selfContained } from '../report/html.ts'
import { reportSchema } from '../report/records.ts'

const scratch = mkdtempSync(join(tmpdir(), 'cli-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

function call(command: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    join('node_modules', '.bin', 'tsx'),
    [`helpers/cli/${command}.ts`, ...args],
    { encoding: 'utf8', timeout: 60_000, env: { ...process.env, NO_COLOR: '1' } },
  )
  return { status, stdout, stderr }
}
const file = (name: string, text: string) => {
  writeFileSync(join(scratch, name), text)
  return join(scratch, name)
}
const inventory = (name: string, text: string) => ['--inventory', file(name, text)]

/** An inventory with an encrypted group_vars file. */
const vaulted = (() => {
  mkdirSync(join(scratch, 'vaulted/group_vars/all'), { recursive: true })
  file('vaulted/group_vars/all/vault.yml', '$ANSIBLE_VAULT;1.1;AES256\n6162\n')
  return file('vaulted/inventory.ini', '[kube_control_plane]\na\n[etcd]\na\n[kube_node]\nb\n')
})()

describe('bad input is one line that names it and the remedy, exit status 3', () => {
  test.each<[string, string[], string | RegExp]>([
    [
      'no such recording',
      ['--recording', 'nowhere'],
      'error: nowhere: no such recording. Give the folder that holds its manifest.json.\n',
    ],
    ['not a recording', ['--recording', 'specs'], /^error: specs: not a recording: it has no manifest\.json .*\n$/],
    [
      'no such inventory',
      ['--inventory', 'nowhere.ini'],
      'error: nowhere.ini: no such inventory. Give the inventory file of the cluster, or its folder.\n',
    ],
    [
      'an inventory with a mistake',
      inventory('broken.ini', '[kube_node\n'),
      /^error: broken\.ini:1: not a section heading: .*\n$/,
    ],
    [
      'an inventory without a group',
      inventory('short.ini', '[kube_control_plane]\na\n[etcd:children]\nkube_control_plane\n'),
      /^error: short\.ini: unknown group kube_node, or it has no host\..*\n$/,
    ],
    [
      'an unknown invariant',
      ['--only', 'lb-lest-conn'],
      /^error: --only lb-lest-conn: unknown invariant \(did you mean lb-least-conn.*\n$/,
    ],
    [
      'an unknown node',
      ['--node', 'k8s-node9'],
      'error: --node k8s-node9: no such host in the inventory. It has k8s-node1, k8s-node2, k8s-node3, k8s-node4.\n',
    ],
    [
      'a selection of nothing',
      ['--only', 'lb-least-conn', '--node', 'k8s-node1'],
      /^error: --only and --node leave nothing to judge: .*\n$/,
    ],
    ['an unknown option', ['--recordin', 'x'], /^error: Unknown option '--recordin'.*\n$/],
    ['an option without its value', ['--recording'], /^error: Option '--recording <value>' argument missing.*\n$/],
    ['a stray word', ['recordings/case1-stock'], /^error: recordings\/case1-stock: not an option\..*\n$/],
    [
      'a live option with a recording',
      ['--recording', 'recordings/case1-stock', '--become'],
      'error: --become: only a running cluster is read with it; leave out --recording.\n',
    ],
    [
      'a running cluster without its inventory',
      ['--become'],
      'error: give the Ansible inventory of the cluster with --inventory PATH.\n',
    ],
    [
      'a target that is none',
      ['--target', 'lab', '--inventory', 'x'],
      'error: --target lab: the only target that is named is vagrant.\n',
    ],
    [
      'a running cluster of an unknown release',
      ['--inventory', 'recordings/case1-stock/controller/inventory/inventory.ini'],
      /^error: which Kubespray release deployed the cluster is not known: no Kubespray checkout lies above .*--kubespray DIR.*\n$/,
    ],
    [
      'a running cluster whose variables are in a vault',
      [...['--inventory', vaulted, '--overrides', file('vault-release.yaml', 'release: v2.29.1\n')]],
      /^error: kube_apiserver_port may be set in .*vault\.yml, which is vault-encrypted; state what that file sets in the overrides file .*\n$/,
    ],
    [
      'no machines at once',
      [
        '--inventory',
        'recordings/case1-stock/controller/inventory/inventory.ini',
        '--forks',
        '0',
        '--overrides',
        file('v.yaml', 'release: v2.29.1\n'),
      ],
      'error: --forks 0: give a whole number above 0.\n',
    ],
    [
      'an unknown invariant of a running cluster, before it is read',
      ['--inventory', 'recordings/case1-stock/controller/inventory/inventory.ini', '--only', 'lb-lest-conn'],
      /^error: --only lb-lest-conn: unknown invariant/,
    ],
    ['an unknown report', ['--report', 'pdf'], 'error: --report pdf: give html, junit or minimal.\n'],
    [
      'a waiver without a reason',
      ['--waivers', file('w1.yaml', 'waivers:\n  - {id: lb-log-clean, expires: 2027-01-01}\n')],
      /w1\.yaml: waiver 1: reason: say why\.\n$/,
    ],
    [
      'a waiver without a date',
      ['--waivers', file('w2.yaml', 'waivers:\n  - {id: lb-log-clean, reason: a}\n')],
      /w2\.yaml: waiver 1: expires: say until when, as YYYY-MM-DD\.\n$/,
    ],
    ['no such waivers', ['--waivers', 'nowhere.yaml'], 'error: nowhere.yaml: no such file.\n'],
    [
      'a known gap of no invariant',
      ['--overrides', file('o.yaml', 'knownGaps:\n  - {id: nothing, reason: a}\n')],
      /o\.yaml: knownGaps: unknown invariant nothing\. .*\n$/,
    ],
    [
      'an unknown release',
      ['--overrides', file('r.yaml', 'release: v1.0.0\n')],
      /r\.yaml: Kubespray v1\.0\.0 is not known here\. Known are v2\.27\.0, .*\n$/,
    ],
    [
      'an output folder that can not be',
      ['--out', 'package.json/reports'],
      /^error: --out package\.json\/reports: can not be written \(E\w+\)\. Give a folder that you may write to\.\n$/,
    ],
  ])('%s', (_, args, message) => {
    const { status, stdout, stderr } = call(
      'test',
      '--report',
      'minimal',
      ...(args.includes('--out') || args.includes('--report') ? [] : ['--out', join(scratch, 'out')]),
      ...args,
    )
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' })
    expect(stderr).toEqual(typeof message === 'string' ? message : expect.stringMatching(message))
    expect(stderr).not.toMatch(/\n\s+at /)
  })
})

describe('npm test', () => {
  const run = (out: string, ...args: string[]) => {
    const { status, stdout } = call('test', '--report', 'minimal', '--out', join(scratch, out), ...args)
    return {
      status,
      stdout,
      report: reportSchema.parse(JSON.parse(readFileSync(join(scratch, out, 'verdicts.json'), 'utf8'))),
    }
  }
  const failing = ({ verdicts }: ReturnType<typeof run>['report']) =>
    verdicts.filter(({ status, severity }) => status === 'fail' && severity !== 'advisory').map(({ id }) => id)

  test('without options judges the shipped healthy recording, and says so', () => {
    const { status, stdout, report } = run('healthy')
    expect([status, failing(report), report.counts['indeterminate']]).toEqual([0, [], 0])
    expect(stdout).toContain(
      'This was the healthy recording that ships with the suite. To judge a cluster of yours: npm test -- --inventory PATH',
    )
    expect(report.overrides[0]).toMatch(/^worker_rlimit_nofile = 16384: /)
    expect(existsSync(join(scratch, 'healthy', 'summary.md'))).toBe(true)
  })

  test('finds the nginx limit in the stock recording, and nothing else', () => {
    const { status, report } = run('stock', '--recording', 'recordings/case1-stock')
    expect([status, failing(report)]).toEqual([1, ['cri-rlimit-vs-nginx', 'lb-log-clean', 'lb-effective-rlimit']])
    expect(
      report.verdicts.filter(({ impliedBy }) => impliedBy !== undefined).map(({ impliedBy }) => impliedBy),
    ).toEqual(['cri-rlimit-vs-nginx@k8s-node4', 'cri-rlimit-vs-nginx@k8s-node4'])
  })

  test('waivers turn it green for a while', () => {
    const waivers = ['cri-rlimit-vs-nginx', 'lb-log-clean', 'lb-effective-rlimit'].map(
      id => `  - {id: ${id}, reason: known, expires: 2999-01-01}`,
    )
    const { status, report } = run(
      'waived',
      '--recording',
      'recordings/case1-stock',
      '--waivers',
      file('w.yaml', `waivers:\n${waivers.join('\n')}\n`),
    )
    expect([status, report.counts['waived']]).toEqual([0, 3])
  })

  test('without its known gaps there is not enough evidence', () => {
    const { status } = run(
      'gaps',
      '--overrides',
      file('none.yaml', 'expectations:\n  - {variable: worker_rlimit_nofile, value: 16384, reason: lab}\n'),
    )
    expect(status).toBe(2)
  })

  test('tells only what is asked for', () => {
    const { report } = run('only', '--only', 'load-balancer', '--only', 'kl-env', '--node', 'k8s-node4')
    expect([
      ...new Set(
        report.verdicts.map(({ plane, id, subject }) => `${plane === 'load-balancer' ? plane : id} ${subject}`),
      ),
    ]).toEqual(['load-balancer k8s-node4', 'kl-env k8s-node4'])
  })

  test('another inventory gives other expectations', () => {
    const other = readFileSync('recordings/case1-remediated/controller/ansible-inventory-list.json', 'utf8').replaceAll(
      '"loadbalancer_apiserver_port": 6443',
      '"loadbalancer_apiserver_port": 7443',
    )
    const { status, report } = run(
      'other',
      ...['--recording', 'recordings/case1-remediated', '--inventory', file('list.json', other)],
      ...['--only', 'lb-listen-local'],
    )
    expect([status, failing(report)]).toEqual([1, ['lb-listen-local']])
  })
})

test('the HTML page has every verdict and names no outside address; JUnit has the reasons', () => {
  const out = join(scratch, 'html')
  const { status } = call(
    'test',
    '--recording',
    'recordings/case1-stock',
    '--only',
    'container-runtime',
    '--only',
    'lb-healthz-exposure',
    '--out',
    out,
  )
  expect(status).toBe(1)
  const html = readFileSync(join(out, 'index.html'), 'utf8')
  expect(outsideAddresses(html)).toEqual([])
  expect(html).not.toContain('googletagmanager')
  const junit = readFileSync(join(out, 'junit.xml'), 'utf8')
  expect(junit).toMatch(
    /<testcase [^>]*name="container-runtime &gt; cri-rlimit-vs-nginx on k8s-node4: A container may open as many files as nginx asks for"/,
  )
  expect(junit).toContain('found     20000')
  expect(junit).toMatch(
    /<property name="indeterminate" value="known gap: the state of docker and crio was not recorded">/,
  )
  expect(readFileSync(join(out, 'history.jsonl'), 'utf8').trim().split('\n')).toHaveLength(1)
})

test('outside addresses are seen in embedded scripts too', () => {
  const script = (text: string) => `<script src="data:text/javascript;base64,${Buffer.from(text).toString('base64')}">`
  expect(
    outsideAddresses(
      `<a href="https://a.example/x">${script('load("http://b.example")')}<svg xmlns="http://www.w3.org/2000/svg">`,
    ),
  ).toEqual(['https://a.example', 'http://b.example'])
  expect(outsideAddresses(selfContained(script('open("https://trace.playwright.dev/next")')))).toEqual([])
})

test('diff: a gate that stops at what is new', () => {
  const [stock, healthy] = ['recordings/case1-stock', 'recordings/case1-remediated']
  expect(call('diff', healthy, stock)).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('new failure (3)') as string,
  })
  expect(call('diff', healthy, stock, '--fail-on-new').status).toBe(1)
  expect(call('diff', stock, healthy, '--fail-on-new')).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('healed (3)') as string,
  })
  expect(call('diff', stock)).toMatchObject({
    status: 3,
    stderr: 'error: give two recordings: the earlier one, and the later one.\n',
  })
})

test('list, explain, import', () => {
  expect(call('list').stdout).toMatch(/lb-least-conn +critical +workers +nginx hands each connection/)
  expect((JSON.parse(call('list', '--json').stdout) as unknown[]).length).toBeGreaterThan(200)
  expect(call('explain', 'lb-least-conn').stdout).toContain('refuted by  the directive is gone')
  expect(call('explain', 'lb-lest')).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('unknown invariant (did you mean lb-least-conn') as string,
  })
  expect(call('explain')).toMatchObject({ status: 3, stderr: 'error: give one id. npm run list shows them all.\n' })
  expect(call('import', 'a')).toMatchObject({
    status: 3,
    stderr: 'error: give two folders: the raw recording, and a new one.\n',
  })
  for (const command of ['test', 'list', 'explain', 'import', 'refute'])
    expect(call(command, '--help')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^npm /) as string })
})
