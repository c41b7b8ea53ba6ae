import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { collect } from '../../helpers/collect/collect.ts'
import { connect } from '../../helpers/collect/connect.ts'
import { probedNodes } from '../../helpers/collect/probed-nodes.ts'
import { readMachine } from '../../helpers/collect/read-machine.ts'
import { render } from '../../helpers/collect/script.ts'
import { type NodeProbes, probesOf } from '../../helpers/evidence/probes.ts'
import { quoted } from '../../helpers/evidence/shell-words.ts'
import { commandSource, fileSource } from '../../helpers/recording/format.ts'
import { openRecording } from '../../helpers/recording/open.ts'
import { live } from '../../helpers/targets/live.ts'
import { ApiTwin } from '../twin/api-server.ts'
import { optionsFor } from '../twin/collecting.ts'
import { Twin } from '../twin/twin.ts'
import { ratio, table } from './table.ts'

const run = promisify(execFile)
const ROUNDS = 5

/** Four twin nodes with a real sshd: our collecting beside plain ssh, goss and pytest-testinfra, in one run. */
export async function benchTwin(): Promise<void> {
  const recording = openRecording('recordings/case1-remediated')
  const twin = await Twin.start(recording)
  const api = await ApiTwin.start(() => recording)
  const scratch = mkdtempSync(join(tmpdir(), 'bench-twin-'))
  try {
    const { signal } = new AbortController()
    const options = optionsFor(twin, api)
    const request = await live(options, signal)
    const nodes = recording.nodes
    const probed = await probedNodes(request.expectations)
    const probes = new Map(
      nodes.map(name => [name, probesOf(probed.get(name) as NonNullable<ReturnType<typeof probed.get>>)]),
    )
    /** Connects to every node at once and runs these probes there; seconds. */
    const ours = (of: (name: string) => NodeProbes) =>
      best(async () => {
        await Promise.all(
          nodes.map(async name => {
            const machine = request.machines.get(name)
            if (machine === undefined) return
            const connection = await connect(machine, request.limits.connect, signal)
            await readMachine(connection, of(name), undefined, request.limits, signal)
            connection?.close()
          }),
        )
      })
    const ssh = (name: string, command: string) => `ssh -F ${twin.sshConfig} ${name} ${command}`
    const atOnce = (lines: readonly string[]) =>
      best(() => run('sh', ['-c', `${lines.map(line => `${line} &`).join('\n')}\nwait`]))
    for (const name of nodes)
      writeFileSync(
        join(scratch, `${name}.sh`),
        render(probes.get(name) ?? { commands: [], files: [] }, 'ab'.repeat(16)),
      )

    const before = await sessions(twin)
    const wholeCollect = await best(() =>
      collect({ ...request, out: join(scratch, 'recording'), replace: true, onProgress: () => {} }, signal),
    )
    const after = await sessions(twin)
    const plain = await atOnce(
      nodes.map(name => `${ssh(name, "'exec sh -s'")} <${join(scratch, `${name}.sh`)} >/dev/null 2>&1`),
    )
    const reading = await ours(name => probes.get(name) ?? { commands: [], files: [] })
    table(
      'four twin nodes with a real sshd, best of 5',
      ['', 's'],
      [
        ['plain ssh, the same script on all four at once', plain.toFixed(2)],
        ['our reading of the four nodes', reading.toFixed(2)],
        ["our collecting: nodes, API, administrator's machine, written to disk", wholeCollect.toFixed(2)],
      ],
    )
    console.log(`  our reading : plain ssh  ${ratio(reading, plain, 1.5)}`)
    console.log(
      `  per node and run: ${((after.connections - before.connections) / ROUNDS / nodes.length).toFixed(1)} connections, ${((after.execs - before.execs) / ROUNDS / nodes.length).toFixed(1)} execs`,
    )

    const forty = fortyFacts(recording.nodes.includes('k8s-node4') ? 'k8s-node4' : (nodes[0] ?? ''), recording, probes)
    const facts = await ours(() => forty)
    const goss = tool('GOSS', '/usr/bin/goss')
    if (goss === undefined)
      console.log('\ngoss: skipped: it is not installed (Debian trixie has it); give its path in GOSS')
    else {
      for (const name of nodes) {
        await twin.container(name).copyContentToContainer([
          { content: readFileSync(goss), target: '/root/goss', mode: 0o755 },
          { content: gossFile(forty), target: '/root/goss.yaml' },
        ])
      }
      const theirs = await atOnce(
        nodes.map(name => `${ssh(name, "'/root/goss -g /root/goss.yaml validate'")} >/dev/null 2>&1`),
      )
      table(
        'the same 40 facts on the four nodes, best of 5',
        ['', 's'],
        [
          ['goss, started over ssh on each', theirs.toFixed(2)],
          ['our reading', facts.toFixed(2)],
        ],
      )
      console.log(`  ours : goss  ${ratio(facts, theirs, 1)}`)
    }
    const pytest = tool('TESTINFRA', '/usr/bin/pytest')
    if (pytest === undefined)
      console.log('\npytest-testinfra: skipped: give the pytest of its virtual environment in TESTINFRA')
    else {
      writeFileSync(join(scratch, 'test_forty.py'), testinfraFile(forty))
      const hosts = nodes.map(name => `ssh://${name}?ssh_config=${twin.sshConfig}`).join(',')
      const theirs = await best(
        () =>
          run(pytest, ['-q', '-p', 'no:cacheprovider', `--hosts=${hosts}`, join(scratch, 'test_forty.py')], {
            maxBuffer: 1 << 26,
          }).catch(() => undefined),
        1,
      )
      const whole = await best(
        () =>
          run('npm', [
            'test',
            '--silent',
            '--',
            ...commandLine(options),
            '--report',
            'junit',
            '--out',
            join(scratch, 'reports'),
          ]).catch(() => undefined),
        2,
      )
      table(
        'whole runs on the four nodes (ours: the better of two)',
        ['', 's'],
        [
          ['pytest-testinfra, 40 checks a node over ssh', theirs.toFixed(1)],
          ['npm test: everything collected and judged, with JUnit', whole.toFixed(1)],
        ],
      )
      console.log(
        `  testinfra : ours  ${(theirs / whole).toFixed(1)} × (at least 10: ${theirs / whole >= 10 ? 'kept' : 'NOT KEPT'})`,
      )
    }
  } finally {
    await api.stop()
    await twin.stop()
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** The seconds of the quickest round. */
async function best(round: () => Promise<unknown>, rounds = ROUNDS): Promise<number> {
  const times: number[] = []
  for (let count = 0; count < rounds; count++) {
    const began = performance.now()
    await round()
    times.push((performance.now() - began) / 1000)
  }
  return Math.min(...times)
}

/** What the nodes' sshd logged until now. */
async function sessions(twin: Twin): Promise<{ connections: number; execs: number }> {
  const logs = await Promise.all(
    twin.recording.nodes.map(name =>
      run('docker', ['logs', twin.container(name).getId()]).then(({ stderr }) => stderr),
    ),
  )
  const count = (pattern: RegExp) => logs.reduce((sum, log) => sum + (log.match(pattern)?.length ?? 0), 0)
  return { connections: count(/Accepted publickey/g), execs: count(/Starting session: /g) }
}

/** Twenty commands and twenty files of a node: as checks they are the same for all three tools. */
function fortyFacts(
  name: string,
  recording: ReturnType<typeof openRecording>,
  probes: ReadonlyMap<string, NodeProbes>,
): NodeProbes {
  const { commands = [], files = [] } = probes.get(name) ?? {}
  return {
    commands: commands.filter(({ id }) => recording.get(commandSource(name, id)) !== undefined).slice(0, 20),
    // What goss and testinfra ask of a file here: that it is there, and whose it is.
    files: files
      .filter(({ path }) => recording.get(fileSource(name, path)) !== undefined)
      .slice(0, 20)
      .map(file => ({ ...file, keep: 'status' })),
  }
}

function shim(command: string): string {
  return `timeout -k 1 7 /bin/sh -c ${quoted(command)}`
}

function gossFile({ commands, files }: NodeProbes): string {
  return JSON.stringify({
    file: Object.fromEntries(files.map(({ path }) => [path, { exists: true, owner: 'root' }])),
    command: Object.fromEntries(commands.map(({ id, command }) => [id, { exec: shim(command), 'exit-status': 0 }])),
  })
}

function testinfraFile({ commands, files }: NodeProbes): string {
  const checks = [
    ...files.map(({ path }) => `    f = host.file(${JSON.stringify(path)})\n    assert f.exists and f.user == "root"`),
    ...commands.map(({ command }) => `    assert host.run(${JSON.stringify(shim(command))}).rc == 0`),
  ]
  return checks.map((check, index) => `def test_${index}(host):\n${check}\n`).join('\n')
}

function tool(variable: string, path: string): string | undefined {
  const given = process.env[variable] ?? path
  return existsSync(given) ? given : undefined
}

function commandLine(options: ReturnType<typeof optionsFor>): string[] {
  const {
    inventory,
    extraVars = '',
    overrides = '',
    admin = '',
    kubespray = '',
    kubeconfig = '',
    sshConfig = '',
  } = options
  return [
    ...['--inventory', inventory, '--extra-vars', extraVars, '--overrides', overrides, '--admin', admin],
    ...['--kubespray', kubespray, '--kubeconfig', kubeconfig, '--ssh-config', sshConfig],
  ]
}
