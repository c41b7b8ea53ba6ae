import ipaddr from 'ipaddr.js'
import { Encrypted, type Origin } from './inventory/model.ts'
import { UserError } from '../recording/errors.ts'
import type { Inventory } from './inventory/inventory.ts'
import { isTemplate, resolveTemplate } from './jinja.ts'
import type { Overrides } from './overrides.ts'
import type { Release } from './release.ts'
import type { Variables } from './releases/v2.29.ts'
import { coerce, type Variable } from './variable.ts'

/** The resolved values of Kubespray's variables, by name. Reading one that can not be known throws UnknownVariable. */
export type Values = { readonly [K in keyof Variables]: Variables[K] extends Variable<infer T> ? T : never }

/** A variable whose value can not be known: encrypted, a template with a lookup, or of the wrong kind. Its message says what to state. */
export class UnknownVariable extends UserError {}

export interface ResolvedVariable {
  readonly value: unknown
  readonly origin: Origin
}

/** How workers reach the API servers. Source: `kube_apiserver_endpoint` in roles/kubespray_defaults/defaults/main/main.yml. */
export type Topology = 'localhost nginx' | 'localhost haproxy' | 'external load balancer' | 'no load balancer'

/** What the cluster should look like: the user's inventory above the release's defaults, below the declared overrides. */
export class Expectations {
  readonly inventory: Inventory
  readonly release: Release | undefined
  readonly overrides: Overrides
  readonly #resolved = new Map<string, ResolvedVariable>()

  constructor(inventory: Inventory, release: Release | undefined, overrides: Overrides) {
    this.inventory = inventory
    this.release = release
    this.overrides = overrides
  }

  get controlPlanes(): string[] {
    return this.inventory.members('kube_control_plane')
  }

  get etcdMembers(): string[] {
    return this.inventory.members('etcd')
  }

  /** Hosts of kube_node that are no control plane: only those get a localhost balancer. */
  get workers(): string[] {
    return this.inventory.members('kube_node').filter(host => !this.controlPlanes.includes(host))
  }

  /** Every Kubernetes node, control planes first. */
  get nodes(): string[] {
    return [...new Set([...this.controlPlanes, ...this.inventory.members('k8s_cluster')])]
  }

  /** Nodes and etcd hosts. */
  get machines(): string[] {
    return [...new Set([...this.nodes, ...this.etcdMembers])]
  }

  get topology(): Topology {
    const want = this.values(this.controlPlanes[0] ?? '')
    if (want.loadbalancer_apiserver !== undefined) return 'external load balancer'
    if (!want.loadbalancer_apiserver_localhost) return 'no load balancer'
    return want.loadbalancer_apiserver_type === 'haproxy' ? 'localhost haproxy' : 'localhost nginx'
  }

  /** A host's values; `onRead` is told of each that is read. */
  values(host: string, onRead: (name: string, resolved: ResolvedVariable) => void = () => {}): Values {
    return new Proxy({} as Values, {
      get: (_, name: string) => {
        const resolved = this.resolve(host, name)
        onRead(name, resolved)
        return resolved.value
      },
    })
  }

  /** @throws UnknownVariable that says which variable in which file, and why */
  resolve(host: string, name: string): ResolvedVariable {
    const key = `${host}\0${name}`
    const known = this.#resolved.get(key)
    if (known) return known
    const resolved = this.#resolve(host, name, [])
    this.#resolved.set(key, resolved)
    return resolved
  }

  #resolve(host: string, name: string, path: readonly string[]): ResolvedVariable {
    if (path.includes(name)) throw new UnknownVariable(`${name} refers to itself (${[...path, name].join(' → ')})`)
    const { value, origin } = this.#written(host, name)
    const at = origin.line === undefined ? origin.file : `${origin.file}:${origin.line}`
    if (value instanceof Encrypted) throw new UnknownVariable(`${name} in ${at} is ${value.why}`)
    try {
      const resolved = isTemplate(value)
        ? resolveTemplate(value, other => this.#forTemplate(host, other, [...path, name]))
        : value
      // Ansible's own variables do not hang on the release: how a host is reached is known before it is.
      const kind = name.startsWith('ansible_')
        ? undefined
        : (this.#defaults()[name as keyof Variables] as Variable<unknown> | undefined)?.kind
      return { value: kind === undefined ? resolved : coerce(kind, resolved), origin }
    } catch (error) {
      if (error instanceof UnknownVariable) throw error
      throw new UnknownVariable(
        `${name} in ${at} can not be resolved: ${(error as Error).message.split('\n').at(-1)?.trim() ?? ''}`,
      )
    }
  }

  /** A variable within another's template: undefined where nothing sets it. */
  #forTemplate(host: string, name: string, path: readonly string[]): unknown {
    if (name === 'inventory_hostname') return host
    const isSet = this.inventory.vars(host).has(name) || name in this.#defaults()
    return isSet ? this.#resolve(host, name, path).value : undefined
  }

  #written(host: string, name: string): { value: unknown; origin: Origin } {
    const override = this.overrides.expectations.find(({ variable }) => variable === name)
    if (override) return { value: override.value, origin: { file: this.overrides.file } }
    const setting = this.inventory.vars(host).get(name)
    if (setting) return setting
    for (const file of this.inventory.encryptedFiles) {
      const declared = this.overrides.encrypted.find(entry => file.endsWith(entry.file))
      if (!declared || declared.variables.includes(name)) {
        throw new UnknownVariable(
          `${name} may be set in ${file}, which is vault-encrypted; state what that file sets in the overrides file (encrypted: [{file, variables}])`,
        )
      }
    }
    const fallback = (this.#defaults()[name as keyof Variables] as Variable<unknown> | undefined)?.value
    return { value: fallback, origin: { file: `Kubespray ${this.release?.tag ?? ''} defaults` } }
  }

  #defaults(): Variables {
    if (this.release === undefined) {
      throw new UnknownVariable(
        'the Kubespray release is not known; state it in the overrides file (release: v2.29.1), or record controller/kubespray-version.txt',
      )
    }
    return this.release.variables
  }
}

/** `kube_version` as Kubernetes itself counts, without the `v` that Kubespray v2.27 puts before it. */
export function kubernetesVersion({ kube_version: version }: Pick<Values, 'kube_version'>): string {
  return version.replace(/^v/, '')
}

/** Whether an address lies in a network: `10.233.64.3` in `10.233.64.0/18`. False for what is no address. */
export function inNetwork(address: string, network: string): boolean {
  try {
    const [base, bits] = ipaddr.parseCIDR(network)
    const parsed = ipaddr.parse(address)
    return parsed.kind() === base.kind() && parsed.match([base, bits] as never)
  } catch {
    return false
  }
}

/** Whether two networks share an address. */
export function networksOverlap(a: string, b: string): boolean {
  const [baseA = ''] = a.split('/')
  const [baseB = ''] = b.split('/')
  return inNetwork(baseA, b) || inNetwork(baseB, a)
}

/** Bits of a network's prefix: 18 for `10.233.64.0/18`. */
export function prefixLength(network: string): number {
  return ipaddr.parseCIDR(network)[1]
}
