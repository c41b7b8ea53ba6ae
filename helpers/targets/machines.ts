import type { Become, Machine } from '../collect/machine.ts'
import { type Expectations, UnknownVariable } from '../expectations/expectations.ts'
import { UserError } from '../recording/errors.ts'
import { expandHome, SshConfigFile, sshArguments, type SshOptions } from './ssh-options.ts'

/** What the command line and the environment say of how machines are reached; it ranks above the inventory. */
export interface ConnectionOptions {
  readonly user?: string | undefined
  readonly privateKey?: string | undefined
  readonly become?: boolean | undefined
  readonly insecureHostKeys?: boolean | undefined
  readonly knownHosts?: string | undefined
  readonly sshConfig: SshConfigFile
  /** SSH_AUTH_SOCK, SSH_PASSWORD, SSH_KEY_PASSPHRASE, BECOME_PASSWORD, USER. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Names that ansible-core's ssh plugin takes for one setting. Source: lib/ansible/plugins/connection/ssh.py. */
const VARIABLES = {
  host: ['ansible_host', 'ansible_ssh_host'],
  port: ['ansible_port', 'ansible_ssh_port'],
  user: ['ansible_user', 'ansible_ssh_user'],
  password: ['ansible_password', 'ansible_ssh_pass', 'ansible_ssh_password'],
  key: ['ansible_private_key_file', 'ansible_ssh_private_key_file'],
  become: ['ansible_become'],
  becomeMethod: ['ansible_become_method'],
  becomeUser: ['ansible_become_user'],
  becomePassword: ['ansible_become_password', 'ansible_become_pass'],
  connection: ['ansible_connection'],
  arguments: ['ansible_ssh_common_args', 'ansible_ssh_extra_args', 'ansible_ssh_args'],
} as const

const DEFAULT_KEYS = ['~/.ssh/id_ed25519', '~/.ssh/id_ecdsa', '~/.ssh/id_rsa']

/**
 * How a host of the inventory is reached: options, then Ansible's variables, then the SSH configuration.
 * @throws UserError that names the host and the variable
 */
export function machineOf(host: string, expectations: Expectations, options: ConnectionOptions): Machine {
  const read = (names: readonly string[]) => variable(host, names, expectations)
  const address = read(VARIABLES.host) ?? host
  const given = VARIABLES.arguments.flatMap(name => {
    const text = read([name])
    return text === undefined ? [] : [sshArguments(text)]
  })
  const machine = reached(host, address, given, options, {
    port: read(VARIABLES.port),
    user: options.user ?? read(VARIABLES.user),
    key: options.privateKey ?? read(VARIABLES.key),
    password: options.environment['SSH_PASSWORD'] ?? read(VARIABLES.password),
  })
  return {
    ...machine,
    local: read(VARIABLES.connection) === 'local',
    become: become(host, read, machine.user, options),
  }
}

/** A host that is not in the inventory: `[user@]host[:port]`. */
export function machineAt(destination: string, options: ConnectionOptions): Machine {
  const found = /^(?:([^@]+)@)?(\[[^\]]+\]|[^:@]+)(?::(\d+))?$/.exec(destination)
  if (!found) throw new UserError(`${destination}: not a host. Write [user@]host[:port].`)
  const [, user, name = '', port] = found
  const host = name.replace(/^\[|\]$/g, '')
  const settings = {
    port,
    user: user ?? options.user,
    key: options.privateKey,
    password: options.environment['SSH_PASSWORD'],
  }
  return reached(host, host, [], options, settings)
}

interface Settings {
  readonly port: string | undefined
  readonly user: string | undefined
  readonly key: string | undefined
  readonly password: string | undefined
}

function reached(
  name: string,
  address: string,
  given: readonly SshOptions[],
  options: ConnectionOptions,
  settings: Settings,
  depth = 0,
): Machine {
  const configured = options.sshConfig.optionsFor(address)
  const all = (option: string) => [...given, configured].flatMap(one => one.get(option) ?? [])
  const first = (option: string): string | undefined => all(option)[0]
  const { environment } = options
  const host = (first('hostname') ?? address).replaceAll('%h', address)
  const port = settings.port ?? first('port') ?? '22'
  const user = settings.user ?? first('user') ?? environment['USER'] ?? 'root'
  const keys = settings.key === undefined ? all('identityfile') : [settings.key]
  const agent = first('identityagent') ?? environment['SSH_AUTH_SOCK']
  const knownHosts = options.knownHosts ?? first('userknownhostsfile') ?? '~/.ssh/known_hosts /etc/ssh/ssh_known_hosts'
  return {
    name,
    host,
    port: portNumber(port, name),
    user,
    keys: (keys.length > 0 ? keys : DEFAULT_KEYS).map(expandHome),
    passphrase: environment['SSH_KEY_PASSPHRASE'],
    password: settings.password,
    agent: agent === undefined || agent === 'none' || agent === '' ? undefined : expandHome(agent),
    become: undefined,
    local: false,
    jumps: depth > 4 ? [] : jumps(first('proxyjump'), first('proxycommand'), name, options, depth),
    hostKeyAlias: first('hostkeyalias'),
    knownHosts: knownHosts.split(/\s+/).map(expandHome),
    insecureHostKeys: options.insecureHostKeys === true || /^(no|off)$/i.test(first('stricthostkeychecking') ?? ''),
  }
}

/** @throws UserError for a ProxyCommand other than `ssh -W %h:%p HOST` */
function jumps(
  proxyJump: string | undefined,
  proxyCommand: string | undefined,
  name: string,
  options: ConnectionOptions,
  depth: number,
): Machine[] {
  const hop = (destination: string, given: readonly SshOptions[] = []) => {
    const [, user, rest = destination] = /^(?:ssh:\/\/)?(?:([^@]+)@)?(.*)$/.exec(destination) ?? []
    const [, host = rest, port] = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(rest) ?? []
    const settings = {
      port: port ?? given[0]?.get('port')?.[0],
      user: user ?? given[0]?.get('user')?.[0],
      key: given[0]?.get('identityfile')?.[0] ?? options.privateKey,
      password: options.environment['SSH_PASSWORD'],
    }
    const machine = reached(host, host, given, options, settings, depth + 1)
    return [...machine.jumps, { ...machine, jumps: [] }]
  }
  if (proxyJump !== undefined && proxyJump !== 'none') return proxyJump.split(',').flatMap(one => hop(one.trim()))
  if (proxyCommand === undefined || proxyCommand === 'none') return []
  const words = /^(?:\S*\/)?ssh\s+(.*)$/.exec(proxyCommand.trim())?.[1]
  const given = words === undefined ? undefined : sshArguments(words)
  const destination = given?.get('destination')?.[0]
  if (given === undefined || destination === undefined || !given.has('w')) {
    throw new UserError(
      `ProxyCommand of ${name}: only 'ssh -W %h:%p HOST' can be followed, not '${proxyCommand}'. Use ProxyJump instead.`,
    )
  }
  return hop(destination, [given])
}

function become(
  host: string,
  read: (names: readonly string[]) => string | undefined,
  user: string,
  { become: asked, environment }: ConnectionOptions,
): Become | undefined {
  const wanted = asked ?? /^(true|yes|on|1)$/i.test(read(VARIABLES.become) ?? 'no')
  if (!wanted || user === 'root') return undefined
  const method = read(VARIABLES.becomeMethod) ?? 'sudo'
  const to = read(VARIABLES.becomeUser) ?? 'root'
  if (method !== 'sudo') throw new UserError(`ansible_become_method of ${host} is ${method}: only sudo is supported.`)
  if (to !== 'root') throw new UserError(`ansible_become_user of ${host} is ${to}: evidence is read as root.`)
  return { password: environment['BECOME_PASSWORD'] ?? read(VARIABLES.becomePassword) }
}

/** @throws UserError where the variable is encrypted or can not be resolved */
function variable(host: string, names: readonly string[], expectations: Expectations): string | undefined {
  for (const name of names) {
    if (!expectations.inventory.vars(host).has(name)) continue
    try {
      const { value } = expectations.resolve(host, name)
      if (typeof value === 'string') return value
      if (typeof value === 'number' || typeof value === 'boolean') return `${value}`
    } catch (error) {
      if (!(error instanceof UnknownVariable)) throw error
      throw new UserError(
        `${name} of ${host} can not be known (${error.message}). Give it on the command line or in the environment (npm test -- --help).`,
      )
    }
  }
  return undefined
}

function portNumber(text: string, name: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65536) return port
  throw new UserError(`the port of ${name} is ${text}: give a number from 1 to 65535 (ansible_port).`)
}
