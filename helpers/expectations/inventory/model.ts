/** Where a value was written: the file, and the line where that is known. */
export interface Origin {
  readonly file: string
  readonly line?: number | undefined
}

/** A value as written, before templates are resolved. */
export interface Setting {
  readonly value: unknown
  readonly origin: Origin
}

/** A value that only its owner can read (`!vault`, an encrypted file). */
export class Encrypted {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}

export interface Group {
  readonly name: string
  readonly hosts: string[]
  readonly children: string[]
  readonly vars: Map<string, Setting>
}

/** What one inventory source says, before groups' and hosts' variables are merged. */
export class InventorySource {
  readonly groups = new Map<string, Group>()
  readonly hostVars = new Map<string, Map<string, Setting>>()

  group(name: string): Group {
    const known = this.groups.get(name)
    if (known) return known
    const group: Group = { name, hosts: [], children: [], vars: new Map() }
    this.groups.set(name, group)
    return group
  }

  /** The variables of a host, which is made known. */
  host(name: string): Map<string, Setting> {
    const known = this.hostVars.get(name)
    if (known) return known
    const vars = new Map<string, Setting>()
    this.hostVars.set(name, vars)
    return vars
  }

  addHost(group: string, host: string): Map<string, Setting> {
    const { hosts } = this.group(group)
    if (!hosts.includes(host)) hosts.push(host)
    return this.host(host)
  }

  addChild(parent: string, child: string): void {
    const { children } = this.group(parent)
    if (!children.includes(child)) children.push(child)
    this.group(child)
  }
}
