import type { Expectations, ResolvedVariable, Values } from '../expectations/expectations.ts'
import { UnknownVariable } from '../expectations/expectations.ts'
import type { Inventory } from '../expectations/inventory/inventory.ts'
import type { Release } from '../expectations/release.ts'
import { ApiFacts, ControllerFacts } from './cluster-facts.ts'
import { NodeFacts } from './node-facts.ts'
import type { Reader } from './reader.ts'

export interface ReadVariable extends ResolvedVariable {
  readonly name: string
}

/** Each made once: verdicts share them. */
const readVariables = new WeakMap<ResolvedVariable, ReadVariable>()

function readVariable(name: string, resolved: ResolvedVariable): ReadVariable {
  let variable = readVariables.get(resolved)
  if (!variable) readVariables.set(resolved, (variable = { name, ...resolved }))
  return variable
}

/** The cluster as one judgement sees it: who its machines are by the inventory, and what the evidence says of each. */
export class Cluster {
  readonly expectations: Expectations
  readonly api: ApiFacts
  readonly controller: ControllerFacts
  readonly #reader: Reader
  readonly #read = new Map<string, ReadVariable>()

  constructor(reader: Reader, expectations: Expectations) {
    this.#reader = reader
    this.expectations = expectations
    this.api = new ApiFacts(reader)
    this.controller = new ControllerFacts(reader)
  }

  /** Variables that were read, each once. */
  get readVariables(): ReadVariable[] {
    return [...this.#read.values()]
  }

  /** The inventory as evidence: reading it cites its files. */
  get inventory(): Inventory {
    for (const source of this.#reader.recording.sources('controller/inventory/')) {
      if (!source.includes('_vars/')) this.#reader.has(source)
    }
    return this.expectations.inventory
  }

  /** The data of the release that deployed the cluster. @throws UnknownVariable */
  get release(): Release {
    const { release } = this.expectations
    if (release === undefined) throw new UnknownVariable('the Kubespray release that deployed the cluster is not known')
    return release
  }

  /** Kubespray's variables as a host has them. */
  want(host: string): Values {
    return this.expectations.values(host, (name, resolved) => this.#read.set(name, readVariable(name, resolved)))
  }

  node(name: string): NodeFacts {
    return new NodeFacts(name, this.#reader, this.want(name))
  }

  get controlPlanes(): NodeFacts[] {
    return this.expectations.controlPlanes.map(name => this.node(name))
  }
  get etcdMembers(): NodeFacts[] {
    return this.expectations.etcdMembers.map(name => this.node(name))
  }
  get workers(): NodeFacts[] {
    return this.expectations.workers.map(name => this.node(name))
  }
  get nodes(): NodeFacts[] {
    return this.expectations.nodes.map(name => this.node(name))
  }
  get firstControlPlane(): NodeFacts {
    return this.node(this.expectations.controlPlanes[0] ?? '')
  }
  /** Kubespray's variables as the first control plane has them. */
  get firstControlPlaneWant(): Values {
    return this.want(this.expectations.controlPlanes[0] ?? '')
  }
  get firstEtcdMember(): NodeFacts {
    return this.node(this.expectations.etcdMembers[0] ?? '')
  }
  isControlPlane(name: string): boolean {
    return this.expectations.controlPlanes.includes(name)
  }
  isEtcdMember(name: string): boolean {
    return this.expectations.etcdMembers.includes(name)
  }

  /** `kube_override_hostname`, by default the inventory's name: the name of the Node object. */
  nodeName(host: string): string {
    return this.want(host).kube_override_hostname ?? host
  }

  /** `main_ip` = `ip | default(fallback_ip)`. Source: roles/network_facts/tasks/main.yaml. */
  mainIp(host: string): string {
    const address = this.want(host).ip ?? this.node(host).defaultAddress
    if (address === undefined)
      throw new UnknownVariable(`ip of ${host}: the inventory sets none, and the host has no default route`)
    return address
  }

  /** `main_access_ip` = `access_ip | default(main_ip)`: what others reach the host by. */
  mainAccessIp(host: string): string {
    return this.want(host).access_ip ?? this.mainIp(host)
  }

  /** `https://<main access IP>:2379` of every etcd host, in inventory order: `etcd_access_addresses`. */
  get etcdAccessAddresses(): string[] {
    return this.expectations.etcdMembers.map(host => `https://${this.mainAccessIp(host)}:2379`)
  }

  /** `<main access IP>:<port>` of every API server, sorted. */
  get apiServerAddresses(): string[] {
    return this.expectations.controlPlanes
      .map(host => `${this.mainAccessIp(host)}:${this.want(host).kube_apiserver_port}`)
      .sort()
  }

  /** `etcd_member_name`, by default `etcd<position>`. */
  etcdMemberName(host: string): string {
    return this.want(host).etcd_member_name ?? `etcd${this.expectations.etcdMembers.indexOf(host) + 1}`
  }

  /** Milliseconds since the epoch: when the nodes, and when the API, were read. */
  get recordedAt(): number {
    return this.#reader.recording.recordedAt
  }
  get apiReadAt(): number {
    return this.#reader.recording.apiReadAt
  }
}
