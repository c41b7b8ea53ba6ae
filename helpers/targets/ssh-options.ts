import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { parse as shellWords } from 'shell-quote'
import SSHConfig from 'ssh-config'
import { UserError } from '../recording/errors.ts'

/** Options of ssh by lower-case name: of a configuration file, or of `-o`. */
export type SshOptions = ReadonlyMap<string, readonly string[]>

/** An OpenSSH configuration file: `Host` and `Match` sections; `Match exec` is not run, `Include` is followed. */
export class SshConfigFile {
  readonly #config: SSHConfig

  private constructor(text: string) {
    this.#config = SSHConfig.parse(text)
  }

  /** The file given, or the user's own where it exists. @throws UserError where the file given is not there */
  static read(path?: string): SshConfigFile {
    const file = path ?? join(homedir(), '.ssh/config')
    if (existsSync(file)) return SshConfigFile.parse(included(readFileSync(file, 'utf8')))
    if (path !== undefined) throw new UserError(`${path}: no such file. Give an OpenSSH client configuration.`)
    return SshConfigFile.parse('')
  }

  static parse(text: string): SshConfigFile {
    return new SshConfigFile(text)
  }

  optionsFor(host: string): SshOptions {
    const computed = this.#config.compute(host, { matchExec: false, ignoreCase: true })
    return new Map(Object.entries(computed).map(([name, value]) => [name.toLowerCase(), [value].flat()]))
  }
}

/** `Include` lines replaced by the files that they name; patterns are not followed. */
function included(text: string, depth = 0): string {
  return text.replace(/^[ \t]*Include[ \t]+(.+)$/gim, (_, files: string) =>
    files
      .trim()
      .split(/\s+/)
      .map(file => expandHome(file.startsWith('/') || file.startsWith('~') ? file : join(homedir(), '.ssh', file)))
      .map(file => (depth < 8 && existsSync(file) ? included(readFileSync(file, 'utf8'), depth + 1) : ''))
      .join('\n'),
  )
}

/** The options in `ansible_ssh_common_args` and its like, and in a ProxyCommand: `-o Name=value`, `-J`, `-i`, `-p`, `-l`, `-W`. */
export function sshArguments(text: string): SshOptions {
  const options = new Map<string, string[]>()
  const add = (name: string, value: string) => options.set(name, [...(options.get(name) ?? []), value])
  const words = shellWords(text, name => `$${name}`).flatMap(word => (typeof word === 'string' ? [word] : []))
  const flags: Readonly<Record<string, string>> = { J: 'proxyjump', i: 'identityfile', p: 'port', l: 'user', W: 'w' }
  while (words.length > 0) {
    const word = words.shift() ?? ''
    const [, flag = '', attached = ''] = /^-([A-Za-z])(.*)$/.exec(word) ?? []
    const argument = () => (attached === '' ? (words.shift() ?? '') : attached)
    if (flag === 'o') {
      const [, name = '', value = ''] = /^\s*(\w+)\s*[=\s]\s*(.*)$/.exec(argument()) ?? []
      add(name.toLowerCase(), value)
    } else if (flags[flag] !== undefined) add(flags[flag], argument())
    else if (flag === '') add('destination', word)
  }
  return options
}

export function expandHome(path: string): string {
  return path.replace(/^~(?=\/|$)/, homedir())
}
