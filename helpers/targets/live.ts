import { existsSync, readFileSync, statSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { $ } from 'zx'
import type { CollectRequest } from '../collect/collect.ts'
import { type Machine } from '../collect/machine.ts'
import { readMachine } from '../collect/read-machine.ts'
import { type Controller, versionProbe } from '../evidence/controller-probes.ts'
import { type Expectations } from '../expectations/expectations.ts'
import { noOverrides, readOverrides } from '../expectations/overrides.ts'
import { kubeconfig as parseKubeconfig } from '../facts/kubeconfig.ts'
import { connect } from '../collect/connect.ts'
import { writtenAddresses } from '../collect/probed-nodes.ts'
import { UserError } from '../recording/errors.ts'
import { type ConnectionOptions, machineAt, machineOf } from './machines.ts'
import { expectationsOf, EXTRA_VARS, INVENTORY, inventoryOnDisk, RELEASE } from './recorded.ts'
import { expandHome, SshConfigFile } from './ssh-options.ts'

/** What the command line says of a running cluster. */
export interface LiveOptions {
  readonly inventory: string
  readonly extraVars?: string | undefined
  readonly overrides?: string | undefined
  /** The Kubespray checkout, on the administrator's machine. */
  readonly kubespray?: string | undefined
  /** The machine that ran Ansible and has kubectl, where it is not this one: `[user@]host[:port]` or a host of the inventory. */
  readonly admin?: string | undefined
  readonly kubeconfig?: string | undefined
  readonly user?: string | undefined
  readonly privateKey?: string | undefined
  readonly become?: boolean | undefined
  readonly insecureHostKeys?: boolean | undefined
  readonly knownHosts?: string | undefined
  /** An OpenSSH client configuration instead of ~/.ssh/config: what `vagrant ssh-config` prints, for instance. */
  readonly sshConfig?: string | undefined
  /** Take the connection settings from `vagrant ssh-config`. */
  readonly vagrant?: boolean | undefined
  readonly forks?: string | undefined
  /** Seconds for a connection to be ready. */
  readonly connectTimeout?: string | undefined
}

type Resolved = Omit<CollectRequest, 'out' | 'replace' | 'onProgress'>

/**
 * What is to be read of a running cluster, and how.
 * @throws UserError that names the option, file, host or variable
 */
export async function live(options: LiveOptions, signal: AbortSignal): Promise<Resolved> {
  const files = inventoryOnDisk(options.inventory)
  const overridesText = options.overrides === undefined ? undefined : textFile(options.overrides, '--overrides')
  const overrides = overridesText === undefined ? noOverrides : readOverrides(overridesText, options.overrides ?? '')
  const extraVars = options.extraVars === undefined ? undefined : textFile(options.extraVars, '--extra-vars')
  const connection = await connectionOptions(options)
  const limits = limitsOf(options)
  const inputs = { ...files, extraVars: extraVars === undefined ? [] : [{ path: EXTRA_VARS, text: extraVars }] }
  const admin = options.admin === undefined ? thisMachine() : undefined
  // The release decides what the inventory means; Ansible's variables of hosts do not hang on it.
  const unversioned = expectationsOf(inputs, undefined, { ...overrides, release: undefined })
  const controllerMachine = admin ?? adminMachine(options.admin ?? '', unversioned, connection)
  const kubespray = options.kubespray ?? (admin === undefined ? '~/kubespray' : checkoutAbove(options.inventory))
  const version = kubespray === undefined ? undefined : await versionOf(kubespray, controllerMachine, limits, signal)
  if (version === undefined && overrides.release === undefined) throw new UserError(unknownRelease(options, kubespray))
  const expectations = expectationsOf(inputs, version, overrides)
  const machines = new Map(expectations.machines.map(host => [host, machineOf(host, expectations, connection)]))
  const texts: Record<string, string> = {}
  for (const { path, text } of [...files.sources, ...files.varsFiles]) texts[`${INVENTORY}${path}`] = text
  if (extraVars !== undefined) texts[EXTRA_VARS] = extraVars
  if (version !== undefined) texts[RELEASE] = version
  if (overridesText !== undefined) texts['overrides.yaml'] = overridesText
  const kubeconfig = options.kubeconfig ?? (admin === undefined ? undefined : ownKubeconfig(expectations))
  if (kubeconfig !== undefined) textFile(kubeconfig, '--kubeconfig')
  const side = controllerSide({ options, expectations, kubespray, kubeconfig })
  return {
    expectations,
    texts,
    machines,
    controller: { machine: controllerMachine, side },
    kubeconfig,
    forks: positive(options.forks ?? '16', '--forks'),
    limits,
    target: `${options.vagrant === true ? 'vagrant, ' : ''}inventory ${options.inventory}`,
  }
}

async function connectionOptions(options: LiveOptions): Promise<ConnectionOptions> {
  const { user, privateKey, become, insecureHostKeys, knownHosts } = options
  if (privateKey !== undefined) textFile(privateKey, '--private-key')
  if (knownHosts !== undefined) textFile(knownHosts, '--known-hosts')
  const sshConfig =
    options.vagrant === true ? SshConfigFile.parse(await vagrantSshConfig()) : SshConfigFile.read(options.sshConfig)
  return { user, privateKey, become, insecureHostKeys, knownHosts, sshConfig, environment: process.env }
}

/** @throws UserError where Vagrant is not there or has no machine running */
async function vagrantSshConfig(): Promise<string> {
  try {
    const { stdout } = await $({ quiet: true })`vagrant ssh-config`
    return stdout
  } catch (error) {
    const said = ((error as { stderr?: string }).stderr ?? (error as Error).message).trim().split('\n')[0]
    throw new UserError(
      `--target vagrant: vagrant ssh-config failed: ${said ?? ''}. Run vagrant up first, in the folder of the Vagrantfile.`,
    )
  }
}

function limitsOf({ connectTimeout }: LiveOptions): CollectRequest['limits'] {
  const connect = positive(connectTimeout ?? '10', '--connect-timeout') * 1000
  return { connect, silence: 9_000, machine: 300_000, answer: 15_000 }
}

function thisMachine(): Machine {
  return {
    name: hostname(),
    host: '127.0.0.1',
    port: 0,
    user: '',
    keys: [],
    passphrase: undefined,
    password: undefined,
    agent: undefined,
    become: undefined,
    local: true,
    jumps: [],
    hostKeyAlias: undefined,
    knownHosts: [],
    insecureHostKeys: false,
  }
}

function adminMachine(admin: string, expectations: Expectations, connection: ConnectionOptions): Machine {
  const inInventory = expectations.inventory.hosts.includes(admin)
  return inInventory ? machineOf(admin, expectations, connection) : machineAt(admin, connection)
}

/** The Kubespray checkout that an inventory lies in: the nearest folder above it that has cluster.yml and roles/. */
function checkoutAbove(inventory: string): string | undefined {
  for (let folder = resolve(inventory); folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, 'cluster.yml')) && existsSync(join(folder, 'roles'))) return folder
  return undefined
}

async function versionOf(
  kubespray: string,
  machine: Machine,
  limits: CollectRequest['limits'],
  signal: AbortSignal,
): Promise<string | undefined> {
  const probe = versionProbe(kubespray)
  const connection = await connect(machine, limits.connect, signal).catch((error: unknown) => {
    throw new UserError(`--admin ${machine.name}: ${(error as Error).message}`)
  })
  try {
    const { commands } = await readMachine(connection, { commands: [probe], files: [] }, undefined, limits, signal)
    const answer = commands[probe.id]
    return answer?.exitCode === 0 && answer.stdout.trim() !== '' ? answer.stdout : undefined
  } finally {
    connection?.close()
  }
}

function unknownRelease({ inventory }: LiveOptions, kubespray: string | undefined): string {
  const looked =
    kubespray === undefined ? `no Kubespray checkout lies above ${inventory}` : `${kubespray} is no Kubespray checkout`
  return `which Kubespray release deployed the cluster is not known: ${looked}. Give the checkout with --kubespray DIR, or 'release: v2.29.1' in an --overrides file.`
}

/** The kubeconfig that kubectl takes on this machine, where its server is one of the cluster's. */
function ownKubeconfig(expectations: Expectations): string | undefined {
  const path = process.env['KUBECONFIG']?.split(':')[0] ?? join(homedir(), '.kube/config')
  if (!existsSync(path)) return undefined
  const parsed = parseKubeconfig(readFileSync(path, 'utf8'))
  if (!parsed.ok) return undefined
  const server = URL.canParse(parsed.value.server) ? new URL(parsed.value.server).hostname.replace(/^\[|\]$/g, '') : ''
  return apiNames(expectations).includes(server) ? path : undefined
}

/** Addresses and names by which the API servers may be called. */
function apiNames(expectations: Expectations): string[] {
  return expectations.controlPlanes.flatMap(host => [host, ...writtenAddresses(host, expectations)])
}

interface Side {
  readonly options: LiveOptions
  readonly expectations: Expectations
  readonly kubespray: string | undefined
  readonly kubeconfig: string | undefined
}

function controllerSide({ options, expectations, kubespray, kubeconfig }: Side): Controller {
  const isRemote = options.admin !== undefined
  const [first = ''] = expectations.controlPlanes
  const inCheckout = /(?:^|\/)(inventory\/.+)$/.exec(options.inventory)?.[1] ?? 'inventory/mycluster/inventory.ini'
  return {
    kubespray,
    inventory: isRemote ? `${kubespray ?? '~/kubespray'}/${inCheckout}` : resolve(options.inventory),
    kubeconfig: isRemote ? '~/.kube/config' : kubeconfig === undefined ? undefined : resolve(expandHome(kubeconfig)),
    apiServers: [...new Set(apiNames(expectations))],
    apiPort: expectations.values(first).kube_apiserver_port,
    hosts: expectations.machines,
  }
}

/** @throws UserError where there is no such file */
function textFile(path: string, option: string): string {
  if (!existsSync(path) || statSync(path).isDirectory()) throw new UserError(`${option} ${path}: no such file.`)
  return readFileSync(path, 'utf8')
}

function positive(text: string, option: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0) return number
  throw new UserError(`${option} ${text}: give a whole number above 0.`)
}
