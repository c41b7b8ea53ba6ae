import { rmSync } from 'node:fs'
import { collect, type Collected } from '../collect/collect.ts'
import { UserError } from '../recording/errors.ts'
import { live, type LiveOptions } from '../targets/live.ts'

/** Options of the commands that read a running cluster. */
export const liveKinds = {
  inventory: 'string',
  target: 'string',
  'extra-vars': 'string',
  overrides: 'string',
  kubespray: 'string',
  admin: 'string',
  kubeconfig: 'string',
  user: 'string',
  'private-key': 'string',
  become: 'boolean',
  'insecure-host-keys': 'boolean',
  'known-hosts': 'string',
  'ssh-config': 'string',
  forks: 'string',
  'connect-timeout': 'string',
} as const

type Given = { readonly [N in keyof typeof liveKinds]?: (typeof liveKinds)[N] extends 'boolean' ? boolean : string }

export const liveUsage = `Reading a running cluster:
  --inventory PATH       its Ansible inventory: how its hosts are reached (ansible_host, ansible_user, ansible_become, …)
  --target vagrant       with the connection settings that vagrant ssh-config prints
  --extra-vars FILE      what was given to ansible-playbook with -e @FILE
  --kubespray DIR        the Kubespray checkout (default: the one that the inventory lies in; with --admin ~/kubespray)
  --admin HOST           the machine that ran Ansible and has kubectl, where it is not this one: [user@]host[:port]
  --kubeconfig FILE      for the API (default: $KUBECONFIG or ~/.kube/config where it is this cluster's, else the
                         admin.conf of a control plane, through its SSH connection)
  --user NAME, --private-key FILE, --become, --ssh-config FILE, --known-hosts FILE
                         rank above the inventory and ~/.ssh/config
  --insecure-host-keys   accept any host key: for throw-away labs only
  --forks N              machines read at once (default: 16)
  --connect-timeout N    seconds for a connection to be ready (default: 10)
  In the environment: SSH_AUTH_SOCK, SSH_PASSWORD, SSH_KEY_PASSPHRASE, BECOME_PASSWORD.
`

/** The options that only a running cluster has use for. */
export function liveOnly(given: Given): string[] {
  return Object.keys(liveKinds).filter(
    name => !['inventory', 'overrides'].includes(name) && given[name as keyof Given] !== undefined,
  )
}

/**
 * Reads a running cluster into a folder. The first Ctrl-C ends it with what was read until then, the second at once.
 * @throws UserError
 */
export async function recordLive(given: Given, out: string, replace: boolean): Promise<Collected> {
  const stop = new AbortController()
  const interrupted = () => {
    if (stop.signal.aborted) {
      rmSync(`${out}.partial`, { recursive: true, force: true })
      process.exit(INTERRUPTED)
    }
    console.error('interrupted: writing what was read until now; once more to quit at once')
    stop.abort()
  }
  process.on('SIGINT', interrupted)
  try {
    const request = await resolveLive(given, stop.signal)
    return await collect({ ...request, out, replace, onProgress: line => console.error(line) }, stop.signal)
  } finally {
    process.off('SIGINT', interrupted)
  }
}

/** What the options mean. @throws UserError */
export async function resolveLive(given: Given, signal: AbortSignal): Promise<Awaited<ReturnType<typeof live>>> {
  const { inventory, target } = given
  if (target !== undefined && target !== 'vagrant')
    throw new UserError(`--target ${target}: the only target that is named is vagrant.`)
  if (inventory === undefined) throw new UserError('give the Ansible inventory of the cluster with --inventory PATH.')
  const options: LiveOptions = {
    inventory,
    vagrant: target === 'vagrant',
    extraVars: given['extra-vars'],
    overrides: given.overrides,
    kubespray: given.kubespray,
    admin: given.admin,
    kubeconfig: given.kubeconfig,
    user: given.user,
    privateKey: given['private-key'],
    become: given.become,
    insecureHostKeys: given['insecure-host-keys'],
    knownHosts: given['known-hosts'],
    sshConfig: given['ssh-config'],
    forks: given.forks,
    connectTimeout: given['connect-timeout'],
  }
  return live(options, signal)
}

/** Exit status of a run that Ctrl-C ended, as shells count. */
export const INTERRUPTED = 130
