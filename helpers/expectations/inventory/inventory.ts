import { UserError } from '../../recording/errors.ts'
import { readIni } from './ini.ts'
import { readListInventory } from './list-inventory.ts'
import { type Group, InventorySource, type Setting } from './model.ts'
import { readVarsFile, type VarsFile } from './vars-file.ts'
import { readYamlInventory } from './yaml-inventory.ts'

/** The files of an inventory by path: the inventory sources, `group_vars/…`, `host_vars/…` and extra vars. */
export interface InventoryFiles {
  /** In the order in which they are given to Ansible. */
  readonly sources: readonly { readonly path: string; readonly text: string }[]
  /** Beside the first source, by path relative to its folder. */
  readonly varsFiles: readonly { readonly path: string; readonly text: string }[]
  /** Given with `-e @file`, in order. */
  readonly extraVars: readonly { readonly path: string; readonly text: string }[]
}

/**
 * Groups that Kubespray makes itself while it runs, with the groups that they are made of.
 * Source: roles/dynamic_groups/tasks/main.yml (v2.29); roles/bootstrap_os in v2.27, v2.28.
 */
const DYNAMIC_GROUPS: Readonly<Record<string, readonly string[]>> = {
  k8s_cluster: ['kube_node', 'kube_control_plane', 'calico_rr'],
}

/** An Ansible inventory as Kubespray sees it while it runs: groups, hosts, and every host's variables by Ansible's precedence. */
export class Inventory {
  readonly #groups: ReadonlyMap<string, Group>
  readonly #vars: ReadonlyMap<string, ReadonlyMap<string, Setting>>
  readonly varsFiles: readonly VarsFile[]
  readonly extraVars: readonly VarsFile[]

  private constructor(source: InventorySource, files: InventoryFiles) {
    this.varsFiles = files.varsFiles.map(({ path, text }) => readVarsFile(text, path))
    this.extraVars = files.extraVars.map(({ path, text }) => readVarsFile(text, path))
    this.#groups = source.groups
    this.#vars = new Map([...source.hostVars.keys()].map(host => [host, this.#merge(source, host)]))
  }

  /** @throws UserError that names the file, line or group */
  static read(files: InventoryFiles): Inventory {
    const merged = new InventorySource()
    for (const { path, text } of files.sources) mergeInto(merged, readSource(text, path))
    addDynamicGroups(merged)
    return new Inventory(merged, files)
  }

  get hosts(): string[] {
    return [...this.#vars.keys()]
  }

  get groupNames(): string[] {
    return [...this.#groups.keys()]
  }

  children(group: string): readonly string[] {
    return this.#groups.get(group)?.children ?? []
  }

  /** Hosts that are listed in the group itself. */
  ownHosts(group: string): readonly string[] {
    return this.#groups.get(group)?.hosts ?? []
  }

  /** Hosts of a group and of the groups below it, in inventory order; empty for an unknown group. */
  members(group: string): string[] {
    if (group === 'all') return this.hosts
    return [...new Set(this.#descend(group).flatMap(name => this.#groups.get(name)?.hosts ?? []))]
  }

  /** Groups that a host is in, from the outermost to the innermost as Ansible merges them. */
  groupsOf(host: string): string[] {
    const depth = (name: string): number => Math.max(0, ...this.#parents(name).map(parent => 1 + depth(parent)))
    return this.groupNames
      .filter(name => name !== 'all' && this.members(name).includes(host))
      .map(name => ({ name, depth: depth(name) }))
      .sort((a, b) => a.depth - b.depth || (a.name < b.name ? -1 : 1))
      .map(({ name }) => name)
  }

  /** A host's variables, as written. */
  vars(host: string): ReadonlyMap<string, Setting> {
    return this.#vars.get(host) ?? new Map()
  }

  /** Vault-encrypted files: what they set can not be known. */
  get encryptedFiles(): string[] {
    return [...this.varsFiles, ...this.extraVars]
      .filter(({ settings }) => settings === undefined)
      .map(({ file }) => file)
  }

  #descend(group: string, seen: readonly string[] = []): string[] {
    if (seen.includes(group)) return []
    return [group, ...this.children(group).flatMap(child => this.#descend(child, [...seen, group]))]
  }

  #parents(name: string): string[] {
    return this.groupNames.filter(parent => parent !== 'all' && this.children(parent).includes(name))
  }

  /** Source: https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html#understanding-variable-precedence */
  #merge(source: InventorySource, host: string): ReadonlyMap<string, Setting> {
    const groups = this.groupsOf(host)
    const layers = [
      source.groups.get('all')?.vars,
      ...groups.map(group => source.groups.get(group)?.vars),
      ...this.#files('group_vars', 'all'),
      ...groups.flatMap(group => this.#files('group_vars', group)),
      source.hostVars.get(host),
      ...this.#files('host_vars', host),
      ...this.extraVars.map(({ settings }) => settings),
    ]
    return new Map(layers.flatMap(layer => [...(layer ?? [])]))
  }

  /** `group_vars/<name>`, with an extension that Ansible reads, or the files of the folder of that name in order. */
  #files(folder: string, name: string): VarsFile['settings'][] {
    const isOf = new RegExp(
      `(^|/)${folder}/${escapeRegExp(name)}(\\.ya?ml|\\.json|/.*(\\.ya?ml|\\.json|/[^.]+|/[^.]+))?$`,
    )
    return this.varsFiles
      .filter(({ file }) => isOf.test(file) && !/(^|\/)\.|~$/.test(file))
      .sort((a, b) => (a.file < b.file ? -1 : 1))
      .map(({ settings }) => settings)
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

function readSource(text: string, path: string): InventorySource {
  if (text.trim() === '')
    throw new UserError(
      `${path}: is empty. An inventory with the groups kube_control_plane, etcd and kube_node is expected.`,
    )
  if (/^\s*\{/.test(text)) return readListInventory(text, path)
  return /\.(ya?ml)$/.test(path) || /^---/.test(text) ? readYamlInventory(text, path) : readIni(text, path)
}

function mergeInto(target: InventorySource, source: InventorySource): void {
  for (const group of source.groups.values()) {
    const own = target.group(group.name)
    for (const host of group.hosts) target.addHost(group.name, host)
    for (const child of group.children) target.addChild(group.name, child)
    for (const [key, setting] of group.vars) own.vars.set(key, setting)
  }
  for (const [host, vars] of source.hostVars) {
    for (const [key, setting] of vars) target.host(host).set(key, setting)
  }
}

function addDynamicGroups(source: InventorySource): void {
  for (const [name, parts] of Object.entries(DYNAMIC_GROUPS)) {
    if (source.groups.has(name)) continue
    for (const part of parts) if (source.groups.has(part)) source.addChild(name, part)
  }
}
