import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { Expectations } from '../expectations/expectations.ts'
import { Inventory, type InventoryFiles } from '../expectations/inventory/inventory.ts'
import { noOverrides, type Overrides, readOverrides } from '../expectations/overrides.ts'
import { knownReleases, release } from '../expectations/release.ts'
import { gitDescription } from '../facts/versions.ts'
import { UserError } from '../recording/errors.ts'
import type { Recording } from '../recording/recording.ts'

export const INVENTORY = 'controller/inventory/'
export const EXTRA_VARS = 'controller/extra-vars.yaml'
export const RELEASE = 'controller/kubespray-version.txt'

/** Sources of a recording that expectations are made of, rather than evidence. */
export function isInput(source: string): boolean {
  return source.startsWith(INVENTORY) || source === EXTRA_VARS || source === RELEASE
}

/**
 * What a recorded cluster should look like: by the inventory recorded with it, or another one.
 * @param inventoryPath an inventory file, a folder of them, or the output of `ansible-inventory --list`
 * @throws UserError that names the file, line, group or option
 */
export function expectationsFor(recording: Recording, overrides: Overrides, inventoryPath?: string): Expectations {
  const files = inventoryPath === undefined ? recordedInventory(recording) : inventoryOnDisk(inventoryPath)
  const extraVars = recording.get(EXTRA_VARS)
  const version = recording.get(RELEASE)
  return expectationsOf(
    {
      ...files,
      extraVars: extraVars?.kind === 'text' ? [{ path: EXTRA_VARS, text: extraVars.content }] : [],
    },
    version?.kind === 'text' ? version.content : undefined,
    overrides,
  )
}

/**
 * What a cluster should look like by an inventory and the release that deployed it.
 * @param version `git describe --tags` in the Kubespray checkout
 * @throws UserError that names the file, line, group or option
 */
export function expectationsOf(files: InventoryFiles, version: string | undefined, overrides: Overrides): Expectations {
  const inventory = Inventory.read(files)
  for (const group of ['kube_control_plane', 'etcd', 'kube_node']) {
    if (inventory.members(group).length === 0) {
      throw new UserError(
        `${files.sources[0]?.path ?? 'the inventory'}: unknown group ${group}, or it has no host. Kubespray needs kube_control_plane, etcd and kube_node.`,
      )
    }
  }
  return new Expectations(inventory, releaseOf(version, overrides), overrides)
}

/** The overrides that lie in a recording. */
export function recordedOverrides(recording: Recording): Overrides {
  const path = join(recording.dir, 'overrides.yaml')
  return existsSync(path) ? readOverrides(readFileSync(path, 'utf8'), path) : noOverrides
}

function releaseOf(version: string | undefined, overrides: Overrides) {
  const described = version === undefined ? undefined : gitDescription(version)
  const tag = overrides.release ?? (described?.ok ? described.value.tag : undefined)
  if (tag === undefined) return undefined
  const known = release(tag)
  if (known === undefined) {
    throw new UserError(
      `${overrides.release === undefined ? RELEASE : overrides.file}: Kubespray ${tag} is not known here. Known are ${knownReleases.join(', ')}.`,
    )
  }
  return known
}

function recordedInventory(recording: Recording): Omit<InventoryFiles, 'extraVars'> {
  const texts = recording.sources(INVENTORY).flatMap(source => {
    const evidence = recording.get(source)
    return evidence?.kind === 'text' ? [{ path: source.slice(INVENTORY.length), text: evidence.content }] : []
  })
  if (texts.length === 0) {
    throw new UserError(
      `${recording.dir}/${INVENTORY}: the recording holds no inventory. Give one with --inventory PATH.`,
    )
  }
  return split(texts)
}

/** The files of an inventory on disk, by path relative to its folder. @throws UserError */
export function inventoryOnDisk(path: string): Omit<InventoryFiles, 'extraVars'> {
  if (!existsSync(path))
    throw new UserError(`${path}: no such inventory. Give the inventory file of the cluster, or its folder.`)
  const folder = statSync(path).isDirectory() ? path : dirname(path)
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)))
    .filter(file => isVars(file) || (folder === path ? !file.includes('/') : file === basename(path)))
    .sort()
  if (files.length === 0) throw new UserError(`${path}: holds no inventory file.`)
  return split(files.map(file => ({ path: file, text: readFileSync(join(folder, file), 'utf8') })))
}

function isVars(path: string): boolean {
  return /^(group_vars|host_vars)\//.test(path)
}

/** Ansible passes over backups and files of other kinds in an inventory folder. */
function split(files: readonly { path: string; text: string }[]): Omit<InventoryFiles, 'extraVars'> {
  const sources = files.filter(
    ({ path }) => !isVars(path) && !path.includes('/') && !/~$|\.(orig|bak|cfg|retry|md|pyc?|swp|j2|creds)$/.test(path),
  )
  if (sources.length === 0)
    throw new UserError('the inventory folder holds group_vars but no inventory file: give the file with --inventory.')
  return { sources, varsFiles: files.filter(({ path }) => isVars(path)) }
}
