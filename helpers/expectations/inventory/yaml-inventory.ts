import { UserError } from '../../recording/errors.ts'
import { InventorySource } from './model.ts'
import { expandRange } from './range.ts'
import { readVarsFile } from './vars-file.ts'

type Mapping = Readonly<Record<string, unknown>>

/**
 * An inventory in Ansible's YAML format.
 * Source: https://docs.ansible.com/ansible/latest/collections/ansible/builtin/yaml_inventory.html
 * @throws UserError that names the file and the group
 */
export function readYamlInventory(text: string, file: string): InventorySource {
  const source = new InventorySource()
  const { settings } = readVarsFile(text, file)
  if (settings === undefined)
    throw new UserError(`${file}: is vault-encrypted: decrypt a copy, or give the output of ansible-inventory --list.`)
  for (const [name, { value }] of settings) readGroup(source, name, value, file)
  return source
}

function readGroup(source: InventorySource, name: string, value: unknown, file: string): void {
  const group = source.group(name)
  const content = mapping(value, `${file}: group ${name}`)
  for (const key of Object.keys(content)) {
    if (!['hosts', 'children', 'vars'].includes(key)) {
      throw new UserError(`${file}: group ${name}: unknown key ${key}. A group holds hosts, children and vars.`)
    }
  }
  for (const [key, setting] of Object.entries(mapping(content['vars'], `${file}: group ${name}: vars`))) {
    group.vars.set(key, { value: setting, origin: { file } })
  }
  for (const [pattern, vars] of Object.entries(mapping(content['hosts'], `${file}: group ${name}: hosts`))) {
    for (const host of expandRange(pattern, file)) {
      const own = source.addHost(name, host)
      for (const [key, setting] of Object.entries(mapping(vars, `${file}: host ${host}`)))
        own.set(key, { value: setting, origin: { file } })
    }
  }
  for (const [child, below] of Object.entries(mapping(content['children'], `${file}: group ${name}: children`))) {
    source.addChild(name, child)
    readGroup(source, child, below, file)
  }
}

function mapping(value: unknown, where: string): Mapping {
  if (value === null || value === undefined) return {}
  if (typeof value !== 'object' || Array.isArray(value)) throw new UserError(`${where}: a mapping is expected.`)
  return value as Mapping
}
