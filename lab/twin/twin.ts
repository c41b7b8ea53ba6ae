import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers'
import { probedNodes } from '../../helpers/collect/probed-nodes.ts'
import { controllerProbes, versionProbe } from '../../helpers/evidence/controller-probes.ts'
import { probesOf } from '../../helpers/evidence/probes.ts'
import type { Recording } from '../../helpers/recording/recording.ts'
import { expectationsFor, recordedOverrides } from '../../helpers/targets/recorded.ts'
import { keyPair } from '../key-pair.ts'
import { clearing, controllerArchive, nodeArchive, settling } from './replay.ts'

const BASE = 'kubespray-conformance/twin-base:1'
const IMAGE = 'kubespray-conformance/twin:1'
/** The name of the container that plays the administrator's machine. */
export const ADMIN = 'admin-lb'
const KUBESPRAY = '/root/kubespray'

/** Why there can be no twin here; undefined where a Docker daemon answers. */
export function noDocker(): string | undefined {
  try {
    execFileSync('docker', ['version', '--format', '{{.Server.Version}}'], { stdio: 'pipe' })
    return undefined
  } catch {
    return 'no Docker daemon answers here'
  }
}

/** A recorded cluster that answers again: a container with a real sshd for each node and for the administrator's machine. */
export class Twin {
  readonly folder = mkdtempSync(join(tmpdir(), 'twin-'))
  /** Milliseconds that the twin's clocks are behind the real one: it lives when it was recorded. */
  readonly behind: number
  readonly #containers = new Map<string, StartedTestContainer>()
  #recording: Recording

  private constructor(recording: Recording) {
    this.#recording = recording
    this.behind = Math.round((Date.now() - recording.recordedAt) / 1000) * 1000
  }

  static async start(recording: Recording): Promise<Twin> {
    process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true'
    const here = import.meta.dirname
    execFileSync('sh', [join(here, 'base-image.sh'), BASE], { stdio: 'inherit' })
    execFileSync('docker', ['build', '--quiet', '--build-arg', `BASE=${BASE}`, '--tag', IMAGE, here], { stdio: 'pipe' })
    const twin = new Twin(recording)
    const key = keyPair()
    writeFileSync(twin.privateKey, key.private, { mode: 0o600 })
    await Promise.all(
      [...recording.nodes, ADMIN].map(async name => {
        const container = await new GenericContainer(IMAGE)
          .withHostname(name)
          .withEnvironment({ AUTHORIZED_KEY: key.public })
          .withAddedCapabilities('SYS_ADMIN')
          .withSecurityOpt('apparmor=unconfined', 'seccomp=unconfined')
          .withLabels({ 'kubespray-conformance': 'twin' })
          .withExposedPorts(22)
          .withWaitStrategy(Wait.forLogMessage(/Server listening on 0/))
          .start()
        twin.#containers.set(name, container)
      }),
    )
    await twin.lay(recording)
    twin.#writeSshConfig()
    return twin
  }

  /** Brings nodes into the state that a recording holds: by default all, and the administrator's machine. */
  async lay(recording: Recording, names: readonly string[] = [...this.#containers.keys()]): Promise<void> {
    this.#recording = recording
    const expectations = expectationsFor(recording, recordedOverrides(recording))
    const probed = await probedNodes(expectations)
    for (const name of names) {
      const container = this.container(name)
      const node = probed.get(name)
      const controller = {
        kubespray: KUBESPRAY,
        inventory: this.adminInventory,
        kubeconfig: '~/.kube/config',
        hosts: expectations.machines,
      }
      const apiServers = expectations.controlPlanes.flatMap(host => [host, probed.get(host)?.address ?? ''])
      const admin = controllerProbes({ ...controller, apiServers, apiPort: 6443 })
      const archive =
        node === undefined
          ? await controllerArchive(recording, { ...admin, commands: [versionProbe(KUBESPRAY), ...admin.commands] })
          : await nodeArchive(recording, name, probesOf(node), this.behind / 1000)
      await container.copyContentToContainer([{ content: archive, target: '/twin/state.tar' }])
      const { exitCode, output } = await container.exec([
        'sh',
        '-c',
        `${clearing}; tar -C / -xf /twin/state.tar && ${settling}`,
      ])
      if (exitCode !== 0) throw new Error(`${name}: ${output}`)
    }
  }

  get recording(): Recording {
    return this.#recording
  }

  get privateKey(): string {
    return join(this.folder, 'id_ed25519')
  }

  /** An OpenSSH client configuration by which the inventory's addresses lead to the containers. */
  get sshConfig(): string {
    return join(this.folder, 'ssh_config')
  }

  get knownHosts(): string {
    return join(this.folder, 'known_hosts')
  }

  get adminInventory(): string {
    return `${KUBESPRAY}/inventory/mycluster/inventory.ini`
  }

  container(name: string): StartedTestContainer {
    const container = this.#containers.get(name)
    if (container === undefined) throw new Error(`the twin has no ${name}`)
    return container
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#containers.values()].map(container => container.stop({ timeout: 0 })))
    rmSync(this.folder, { recursive: true, force: true })
  }

  #writeSshConfig(): void {
    const expectations = expectationsFor(this.#recording, recordedOverrides(this.#recording))
    const hosts = [...this.#containers].map(([name, container]) => {
      const { ansible_host: address = name } = expectations.values(name)
      return `Host ${name} ${address}\n  HostName 127.0.0.1\n  Port ${container.getMappedPort(22)}\n`
    })
    const common = `Host *\n  User root\n  IdentityFile ${this.privateKey}\n  IdentityAgent none\n  UserKnownHostsFile ${this.knownHosts}\n`
    writeFileSync(this.sshConfig, `${hosts.join('')}${common}`)
    const ports = [...this.#containers.values()].map(container => String(container.getMappedPort(22)))
    const keys = ports.map(port =>
      execFileSync('ssh-keyscan', ['-p', port, '-t', 'ed25519', '127.0.0.1'], { stdio: 'pipe', encoding: 'utf8' }),
    )
    writeFileSync(this.knownHosts, keys.join(''))
  }
}
