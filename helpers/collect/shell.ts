import { randomBytes } from 'node:crypto'
import type { ClientChannel } from 'ssh2'
import type { Connection } from './connect.ts'
import type { Become } from './machine.ts'

export interface Limits {
  /** Milliseconds for a connection to be ready. */
  readonly connect: number
  /** Milliseconds of silence after which a machine counts as stalled, while no command runs that may take longer. */
  readonly silence: number
  /** Milliseconds for one machine in all. */
  readonly machine: number
  /** Milliseconds for one answer of the API. */
  readonly answer: number
}

export interface Script {
  /** POSIX sh, read by `/bin/sh -s`. */
  readonly text: string
  readonly become: Become | undefined
  readonly limits: Limits
  readonly signal: AbortSignal
  /** Takes the answer as it arrives; true once it is whole. What it throws ends the conversation with its message. */
  readonly take: (bytes: Buffer) => boolean
  /** What runs there now, and how many milliseconds it may be silent; undefined where `limits.silence` holds. */
  readonly running?: () => { readonly what: string; readonly patience: number } | undefined
}

/**
 * Runs a script on a machine in one exec, as root where it says become; nothing is written there.
 * @returns why it ended before its answer was whole; undefined where it was
 */
export async function runScript({ client }: Connection, script: Script): Promise<string | undefined> {
  const nonce = randomBytes(8).toString('hex')
  return new Promise(resolve => {
    client.exec(commandLine(script.become, nonce), (error, channel) => {
      if (error) resolve(`it runs no command: ${error.message}`)
      else converse(channel, script, nonce, resolve)
    })
    client.once('close', () => resolve('the connection was cut'))
    script.signal.addEventListener('abort', () => resolve('collecting was interrupted'), { once: true })
  })
}

/** What runs as root: the script comes on its standard input. */
export const ROOT_SHELL = '/bin/sh -s'

/** Quoted so that sh, bash, csh and fish read the same: the login shell may be any of them. */
function commandLine(become: Become | undefined, nonce: string): string {
  if (become === undefined) return `exec ${ROOT_SHELL}`
  if (become.password === undefined) return `exec sudo -n -- ${ROOT_SHELL}`
  // sudo asks by a prompt that is told from anything else; the script waits until it has taken the password.
  return `exec sudo -S -p '${prompt(nonce)}' -- /bin/sh -c 'echo ${ready(nonce)}; exec /bin/sh -s'`
}

const prompt = (nonce: string) => `password-${nonce}:`
const ready = (nonce: string) => `ready-${nonce}`

function converse(channel: ClientChannel, script: Script, nonce: string, done: (why?: string) => void): void {
  const { become, limits, take, text } = script
  let errors = ''
  let head = ''
  let asked = 0
  let answered = false
  let isReady = become?.password === undefined
  const finish = (why?: string) => {
    clearTimeout(silence)
    clearTimeout(whole)
    channel.removeAllListeners('data')
    done(why)
  }
  const wait = () => {
    const { what, patience } = script.running?.() ?? { what: undefined, patience: limits.silence }
    const where = what === undefined ? '' : ` while ${what} ran`
    return setTimeout(() => finish(`it stalled: nothing arrived for ${patience / 1000} s${where}`), patience)
  }
  let silence = wait()
  const whole = setTimeout(() => finish(`it did not end within ${limits.machine / 1000} s`), limits.machine)
  channel.on('error', () => {})
  channel.on('data', (bytes: Buffer) => {
    clearTimeout(silence)
    if (!isReady) {
      silence = wait()
      head = (head + bytes.toString('latin1')).slice(-4096)
      if (!head.includes(ready(nonce))) return
      isReady = true
      channel.write(text)
      return
    }
    answered = true
    try {
      const isWhole = take(bytes)
      silence = wait()
      if (isWhole) finish()
    } catch (error) {
      finish(`its answer can not be read: ${(error as Error).message}`)
    }
  })
  channel.stderr.on('data', (bytes: Buffer) => {
    errors = (errors + bytes.toString('utf8')).slice(-4096)
    if (isReady || !errors.includes(prompt(nonce))) return
    errors = errors.replace(prompt(nonce), '')
    asked += 1
    if (asked === 1) channel.write(`${become?.password ?? ''}\n`)
    else finish(WRONG_PASSWORD)
  })
  channel.on('close', (status?: number) => finish(inWords(errors.trim(), status, answered)))
  if (isReady) channel.write(text)
}

const WRONG_PASSWORD = 'sudo does not take the password given; check ansible_become_password'

/** Why the far side ended before its answer did, by what it printed. */
function inWords(errors: string, status: number | undefined, answered: boolean): string {
  const line = errors.split('\n').at(-1) ?? ''
  const how = status === undefined ? '' : ` (status ${status})`
  if (/must have a tty|no tty present/.test(errors))
    return "sudo wants a terminal (requiretty): add 'Defaults:USER !requiretty' to the machine's sudoers"
  if (/password is required|a terminal is required/.test(errors))
    return 'sudo needs a password; set ansible_become_password (or BECOME_PASSWORD), or allow it without one (npm run probes -- --sudoers)'
  if (/incorrect password|Sorry, try again/.test(errors)) return WRONG_PASSWORD
  if (/sudo/.test(errors) && /not found|No such file|not in the sudoers|not allowed|Unknown command/.test(errors))
    return `it can not become root: ${line}. Install sudo, allow it to this user, or log in as root`
  if (answered) return `the script was ended half way${how}: ${line || 'no reason given'}`
  return `no shell answered${how}: ${line || 'no reason given'}. The login shell must run /bin/sh -s`
}
