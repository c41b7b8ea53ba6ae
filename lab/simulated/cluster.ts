import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { CollectRequest } from '../../helpers/collect/collect.ts'
import { textOf } from '../../helpers/recording/format.ts'
import { openRecording } from '../../helpers/recording/open.ts'
import type { Recording } from '../../helpers/recording/recording.ts'
import { withWorkers } from '../../helpers/synthetic/workers.ts'
import type { LiveOptions } from '../../helpers/targets/live.ts'
import { expectationsFor, INVENTORY, recordedOverrides } from '../../helpers/targets/recorded.ts'
import { keyPair } from '../key-pair.ts'
import type { ApiTwin } from '../twin/api-server.ts'
import type { Settings } from './main.ts'

/** The nodes of a recording as SSH servers in another process, and the files with which the suite reaches them. */
export class SimulatedCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'simulated-'))
  readonly recording: Recording
  readonly ports: Readonly<Record<string, number>>
  readonly #process: ChildProcess

  private constructor(recording: Recording, process: ChildProcess, { ports, hostKey }: Announced) {
    this.recording = recording
    this.ports = ports
    this.#process = process
    const { inventory } = expectationsFor(recording, recordedOverrides(recording))
    const hosts = Object.entries(ports).map(
      ([name, port]) =>
        `Host ${name} ${String(inventory.vars(name).get('ansible_host')?.value)}\n  HostName 127.0.0.1\n  Port ${port}\n`,
    )
    const common = `Host *\n  User root\n  IdentityFile ${this.#path('id')}\n  IdentityAgent none\n  UserKnownHostsFile ${this.#path('known_hosts')}\n`
    this.write('ssh_config', `${hosts.join('')}${common}`)
    this.write('known_hosts', `[127.0.0.1]:* ${hostKey}\n`)
    this.write('id', keyPair().private)
    for (const source of recording.sources('controller/')) {
      this.write(
        source.startsWith(INVENTORY)
          ? `inventory/mycluster/${source.slice(INVENTORY.length)}`
          : source.slice('controller/'.length),
        textOf(recording.get(source)),
      )
    }
  }

  static async start(settings: Partial<Settings> = {}): Promise<SimulatedCluster> {
    const whole: Settings = {
      recording: 'recordings/case1-remediated',
      moreWorkers: 0,
      latency: 0,
      faults: {},
      ...settings,
    }
    const main = join(import.meta.dirname, 'main.ts')
    const child = spawn(process.execPath, ['--import', 'tsx', main, JSON.stringify(whole)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const recorded = openRecording(whole.recording)
    const recording = whole.moreWorkers === 0 ? recorded : withWorkers(recorded, whole.moreWorkers)
    return new SimulatedCluster(recording, child, JSON.parse(line) as Announced)
  }

  /** Options by which the suite reads it; there is no administrator's machine. */
  options(api: ApiTwin | undefined, more: Partial<LiveOptions> = {}): LiveOptions {
    if (api !== undefined) this.write('kubeconfig', api.kubeconfig())
    this.write('release.yaml', 'release: v2.29.1\n')
    return {
      inventory: this.#path('inventory/mycluster/inventory.ini'),
      extraVars: this.#path('extra-vars.yaml'),
      overrides: this.#path('release.yaml'),
      kubeconfig: api === undefined ? undefined : this.#path('kubeconfig'),
      sshConfig: this.#path('ssh_config'),
      ...more,
    }
  }

  /** Writes a file beside the others; gives its path. */
  write(name: string, text: string): string {
    const path = this.#path(name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }

  async stop(): Promise<void> {
    this.#process.stdin?.end()
    await once(this.#process, 'exit')
    rmSync(this.folder, { recursive: true, force: true })
  }

  #path(name: string): string {
    return join(this.folder, name)
  }
}

/** The machine that the tests run on is no administrator's machine: its kubectl would call the recorded addresses. */
export function withoutKubectl(controller: CollectRequest['controller']): CollectRequest['controller'] {
  return { ...controller, side: { ...controller.side, kubeconfig: undefined } }
}

interface Announced {
  readonly ports: Record<string, number>
  readonly hostKey: string
}
