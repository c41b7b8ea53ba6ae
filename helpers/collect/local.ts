import { spawn } from 'node:child_process'
import { ROOT_SHELL, type Script } from './shell.ts'

/** Runs a script on this machine, as `runScript` does on another. */
export async function runHere({ text, become, limits, signal, take }: Script): Promise<string | undefined> {
  const [command = '', ...args] = `${become === undefined ? '' : 'sudo -n -- '}${ROOT_SHELL}`.split(' ')
  return new Promise(resolve => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], signal, timeout: limits.machine })
    let errors = ''
    child.on('error', error => resolve(`it could not be run here: ${error.message}`))
    child.stdin.on('error', () => {})
    child.stderr.on('data', (bytes: Buffer) => (errors = (errors + bytes.toString('utf8')).slice(-4096)))
    child.stdout.on('data', (bytes: Buffer) => {
      try {
        if (!take(bytes)) return
        resolve(undefined)
      } catch (error) {
        resolve(`its answer can not be read: ${(error as Error).message}`)
      }
    })
    child.on('close', () => resolve(`the script was ended half way: ${errors.trim().split('\n').at(-1) ?? ''}`))
    child.stdin.end(text)
  })
}
