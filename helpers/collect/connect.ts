import { existsSync, readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import ssh2, {
  type AnyAuthMethod,
  type Client,
  type ConnectConfig,
  type KeyboardInteractiveAuthMethod,
  type ServerHostKeyAlgorithm,
} from 'ssh2'
import { KnownHosts } from './known-hosts.ts'
import { type Machine, Unreachable } from './machine.ts'

/** An open connection, with the jump hosts that it goes through. */
export interface Connection {
  readonly client: Client
  readonly close: () => void
}

/**
 * Connects to a machine, through its jump hosts where it has some; undefined where it is the one that this runs on.
 * @param limit milliseconds for each connection to be ready
 * @throws Unreachable that says why, and what to do
 */
export async function connect(machine: Machine, limit: number, signal: AbortSignal): Promise<Connection | undefined> {
  if (machine.local) return undefined
  const clients: Client[] = []
  const close = () => {
    for (const client of clients.reverse()) client.destroy()
  }
  try {
    let through: Duplex | undefined
    for (const hop of [...machine.jumps, machine]) {
      const client = await open(hop, through, limit, signal).catch((error: unknown) => {
        const at = hop === machine ? '' : `jump host ${hop.name}: `
        throw new Unreachable(`${at}${(error as Error).message}`, { cause: error })
      })
      clients.push(client)
      const next = [...machine.jumps, machine][clients.length]
      through = next && (await forward(client, next.host, next.port, limit))
    }
    return { client: clients.at(-1) as Client, close }
  } catch (error) {
    close()
    throw error
  }
}

/** A stream to a port as the machine reaches it. @throws Unreachable where its sshd refuses, or after the time limit */
export async function forward(client: Client, host: string, port: number, limit: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Unreachable(`no answer from ${host}:${port} within ${limit / 1000} s`)),
      limit,
    )
    client.forwardOut('127.0.0.1', 0, host, port, (error, stream) => {
      clearTimeout(timer)
      if (error) reject(new Unreachable(`it can not be gone through to ${host}:${port}: ${error.message}`))
      else resolve(stream)
    })
  })
}

async function open(machine: Machine, sock: Duplex | undefined, limit: number, signal: AbortSignal): Promise<Client> {
  signal.throwIfAborted()
  const client = new ssh2.Client()
  let refused: Unreachable | undefined
  const config = {
    ...settings(machine, refusal => (refused = refusal)),
    readyTimeout: limit,
    ...(sock ? { sock } : {}),
  }
  return new Promise((resolve, reject) => {
    const abort = () => fail(new Unreachable('collecting was interrupted'))
    const fail = (error: Error) => {
      signal.removeEventListener('abort', abort)
      // Later errors of a connection that is given up have nobody to go to.
      client.on('error', () => {})
      client.destroy()
      reject(refused ?? new Unreachable(inWords(error, machine, limit)))
    }
    signal.addEventListener('abort', abort, { once: true })
    client.once('ready', () => {
      signal.removeEventListener('abort', abort)
      client.removeListener('error', fail)
      client.on('error', () => {})
      resolve(client)
    })
    client.once('error', fail)
    client.once('close', () => fail(new Error('the connection was closed before it was ready')))
    try {
      client.connect(config)
    } catch (error) {
      fail(error as Error)
    }
  })
}

function settings(machine: Machine, refuse: (why: Unreachable) => void): ConnectConfig {
  const { host, port, user, insecureHostKeys } = machine
  const known = new KnownHosts(machine.knownHosts)
  const name = machine.hostKeyAlias ?? host
  const types = known
    .typesOf(name, port)
    .flatMap(type => (type === 'ssh-rsa' ? RSA : [type])) as ServerHostKeyAlgorithm[]
  return {
    host,
    port,
    username: user,
    keepaliveInterval: 0,
    ...(types.length > 0 ? { algorithms: { serverHostKey: { prepend: types, append: [], remove: [] } } } : {}),
    hostVerifier: (key: Buffer) => {
      if (insecureHostKeys) return true
      try {
        known.verify(name, port, key)
        return true
      } catch (error) {
        refuse(error as Unreachable)
        return false
      }
    },
    authHandler: methods(machine),
  }
}

const RSA = ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa']

/** Keys, agent and password, in the order in which ssh tries them. @throws Unreachable where there is nothing to try */
function methods(machine: Machine): AnyAuthMethod[] {
  const { user: username, password, agent } = machine
  const found: AnyAuthMethod[] = privateKeys(machine).map(key => ({ type: 'publickey', username, ...key }))
  if (agent !== undefined) found.push({ type: 'agent', username, agent })
  if (password !== undefined) {
    found.push({ type: 'password', username, password })
    const prompt: KeyboardInteractiveAuthMethod['prompt'] = (_name, _instructions, _language, prompts, finish) =>
      finish(prompts.map(() => password))
    found.push({ type: 'keyboard-interactive', username, prompt })
  }
  return found
}

interface PrivateKey {
  readonly key: Buffer
  readonly passphrase?: string
}

/** @throws Unreachable for a key that can not be read, or whose passphrase is wrong */
function privateKeys({ keys, passphrase, agent, password }: Machine): PrivateKey[] {
  const usable = keys.flatMap(path => {
    if (!existsSync(path)) return []
    const key = readFileSync(path)
    const parsed = ssh2.utils.parseKey(key, passphrase)
    if (!(parsed instanceof Error)) return [{ key, ...(passphrase === undefined ? {} : { passphrase }) }]
    // With another way to log in, a key may stay locked.
    if (agent !== undefined || password !== undefined) return []
    const remedy = /passphrase|encrypted/i.test(parsed.message)
      ? `${passphrase === undefined ? 'has a passphrase' : 'has another passphrase than the one given'}; set SSH_KEY_PASSPHRASE, or load it into an agent (ssh-add ${path})`
      : `is no private key that can be used (${parsed.message})`
    throw new Unreachable(`the key ${path} ${remedy}`)
  })
  if (usable.length === 0 && agent === undefined && password === undefined) {
    const tried = keys.length === 0 ? 'no key is configured' : `there is no ${keys.join(', no ')}`
    throw new Unreachable(
      `no credentials: ${tried}, no agent (SSH_AUTH_SOCK) and no ansible_password. Set ansible_ssh_private_key_file, or give --private-key`,
    )
  }
  return usable
}

/** An error of the connection as a person says it, with what to do. */
function inWords(error: NodeJS.ErrnoException & { level?: string }, machine: Machine, limit: number): string {
  const { name, host, port, user } = machine
  const at = `${host}:${port}`
  if (error instanceof Unreachable) return error.message
  if (error.level === 'client-authentication') {
    return `authentication refused: ${at} does not let ${user} in with the keys and passwords given. Check ansible_user and ansible_ssh_private_key_file of ${name}, or that the key is in ${user}'s authorized_keys`
  }
  if (error.level === 'client-timeout') {
    return `no SSH handshake with ${at} within ${limit / 1000} s: the machine is down, stalls, or a firewall drops the packets`
  }
  switch (error.code) {
    case 'ECONNREFUSED':
      return `connection refused by ${at}: sshd does not run there, or ansible_host or ansible_port is another`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `no route to ${at} (${error.code}): check ansible_host of ${name} and this machine's routes`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${host} can not be resolved (${error.code}): set ansible_host of ${name}, or add it to /etc/hosts`
    case 'ETIMEDOUT':
      return `no answer from ${at}: the machine is down, or a firewall drops the packets`
  }
  return `no SSH connection to ${at}: ${error.message}`
}
