import type { FileProbe, NodeProbes, Probe } from './probes.ts'
import { inUrl, quotedPath } from './shell-words.ts'

/** The machine from which Ansible ran, and kubectl is used: admin-lb in the seed document. */
export interface Controller {
  /** The Kubespray checkout; undefined where there is none. */
  readonly kubespray: string | undefined
  /** The inventory as Ansible was given it. */
  readonly inventory: string
  /** kubectl's configuration there; undefined where it is not this cluster's. */
  readonly kubeconfig: string | undefined
  /** Addresses and host names of the API servers. */
  readonly apiServers: readonly string[]
  readonly apiPort: number
  readonly hosts: readonly string[]
}

export interface ControllerProbes extends NodeProbes {
  /** The names below `controller/` in a recording, by id of the command or path of the file. */
  readonly names: ReadonlyMap<string, string>
}

/** Where the tools of a virtual environment for Kubespray may lie. Source: docs/ansible/ansible.md. */
const VENV = 'PATH=$PWD/venv/bin:$PWD/.venv/bin:$HOME/kubespray-venv/bin:$PATH'
/** Ansible refuses a locale that is not UTF-8, and keeps its temporary files in a folder that is removed again. */
const ANSIBLE = `${VENV}; export LC_ALL=C.UTF-8; d=$(mktemp -d) && trap 'rm -rf "$d"' EXIT; export ANSIBLE_HOME=$d ANSIBLE_LOCAL_TEMP=$d ANSIBLE_NOCOLOR=1 ANSIBLE_FORCE_COLOR=0`

/** `git describe --tags` in the checkout, or what galaxy.yml says where it came as an archive. */
export function versionProbe(kubespray: string): Probe {
  const command = `cd ${quotedPath(kubespray)} && { git describe --tags 2>/dev/null || sed -n 's/^version: */v/p' galaxy.yml; }`
  return { id: 'kubespray-version', command, limit: 20, root: false }
}

/** What is read on the controller: the same way as on the nodes, and never as root. */
export function controllerProbes(controller: Controller): ControllerProbes {
  const names = new Map<string, string>()
  const commands: Probe[] = []
  const files: FileProbe[] = []
  const run = (name: string, command: string, limit = 20) => {
    names.set(name, name)
    commands.push({ id: name, command, limit, root: false })
  }
  const file = (name: string, path: string) => {
    names.set(path, name)
    files.push({ path, keep: 'content', root: false })
  }
  const { kubespray, inventory, kubeconfig, apiServers, apiPort, hosts } = controller
  file('hosts', '/etc/hosts')
  if (kubespray !== undefined) {
    const folder = quotedPath(kubespray)
    const ansible = (line: string) => `cd ${folder} && { ${ANSIBLE}; ${line}; }`
    const given = `-i ${quotedPath(inventory)}`
    file('kubespray_install.log', `${kubespray}/kubespray_install.log`)
    file('artifacts-admin.conf', `${inventory.replace(/\/[^/]*$/, '')}/artifacts/admin.conf`)
    run('ansible-inventory-list.json', ansible(`ansible-inventory ${given} --list`), 60)
    run('ansible-inventory-graph.txt', ansible(`ansible-inventory ${given} --graph`), 60)
    run('list-tags.txt', ansible(`ansible-playbook ${given} cluster.yml --list-tags`), 180)
    run('list-tasks.txt', ansible(`ansible-playbook ${given} cluster.yml --list-tasks`), 180)
    const cache = `$(sed -n 's/^fact_caching_connection *= *//p' ansible.cfg)`
    const cached = hosts.map(host => `-name ${quotedPath(host)} -o -name ${quotedPath(`s1_${host}`)}`).join(' -o ')
    run(
      'fact-cache.txt',
      `cd ${folder} && find "${cache}" -maxdepth 1 -type f \\( ${cached} \\) -printf '%M %u %g %s %T@ %p\\n'`,
    )
  }
  if (kubeconfig !== undefined) {
    file('kubeconfig.yaml', kubeconfig)
    const kubectl = `${VENV}:/usr/local/bin kubectl --kubeconfig ${quotedPath(kubeconfig)} --cache-dir=/dev/null --request-timeout=10s`
    run('kubectl-get-nodes-wide-v6.txt', `${kubectl} get nodes -o wide -v=6 2>&1`)
    run('kubectl-top-nodes.txt', `${kubectl} top nodes`)
    for (const server of apiServers) {
      const url = `https://${inUrl(server)}:${apiPort}`
      for (const question of ['version', 'livez', 'readyz']) {
        const name = question === 'version' ? `version-${server}.json` : `${question}-${server}.txt`
        run(name, `${kubectl} --server ${url} get --raw /${question}`)
      }
    }
  }
  return { commands, files, names }
}
