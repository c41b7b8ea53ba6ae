import { inventoryList } from '../../facts/ansible-inventory.ts'
import { UserError } from '../../recording/errors.ts'
import { InventorySource } from './model.ts'

/** The output of `ansible-inventory --list`, taken as an inventory. @throws UserError */
export function readListInventory(text: string, file: string): InventorySource {
  const parsed = inventoryList(text)
  if (!parsed.ok) throw new UserError(`${file}: not the output of ansible-inventory --list: ${parsed.error.message}`)
  const source = new InventorySource()
  for (const [name, group] of Object.entries(parsed.value.groups)) {
    source.group(name)
    for (const child of group.children) source.addChild(name, child)
    for (const host of group.hosts) source.addHost(name, host)
  }
  for (const [host, vars] of Object.entries(parsed.value.hostvars)) {
    for (const [key, value] of Object.entries(vars)) source.host(host).set(key, { value, origin: { file } })
  }
  return source
}
