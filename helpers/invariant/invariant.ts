import type { Cluster } from '../evidence/cluster.ts'
import type { NodeFacts } from '../evidence/node-facts.ts'
import type { Expectations, Values } from '../expectations/expectations.ts'
import type { Check } from './check.ts'
import type { Edit } from './edit.ts'

export const severities = ['blocker', 'critical', 'normal', 'minor', 'advisory'] as const
/** All but `advisory` gate. */
export type Severity = (typeof severities)[number]

export const planes = [
  'inventory',
  'deployment',
  'host',
  'container-runtime',
  'etcd',
  'control-plane',
  'load-balancer',
  'nodes',
  'network',
  'addons',
  'workstation',
] as const
export type Plane = (typeof planes)[number]

/** What a judgement is about when it is not about one node. */
export const CLUSTER = 'cluster'

export interface ClusterContext {
  readonly cluster: Cluster
  /** Kubespray's variables as the node has them; of the first control plane where the cluster is judged. */
  readonly want: Values
  readonly check: Check
}
export interface NodeContext extends ClusterContext {
  readonly node: NodeFacts
}

/** A selector over the inventory: which nodes an invariant is about. */
export interface Nodes {
  readonly kind: 'nodes'
  readonly label: string
  readonly of: (expectations: Expectations) => string[]
}
export interface WholeCluster {
  readonly kind: 'cluster'
  readonly label: string
}

const nodesOf = (label: string, of: Nodes['of']): Nodes => ({ kind: 'nodes', label, of })
export const allNodes = nodesOf('every node', ({ nodes }) => nodes)
export const controlPlanes = nodesOf('control planes', expectations => expectations.controlPlanes)
export const workers = nodesOf('workers', expectations => expectations.workers)
export const etcdMembers = nodesOf('etcd members', expectations => expectations.etcdMembers)
export const wholeCluster: WholeCluster = { kind: 'cluster', label: 'the cluster' }
export const controller: WholeCluster = { kind: 'cluster', label: 'the controller' }

/** A minimal edit of healthy evidence that must make the invariant fail, and the other invariants that it makes fail too. */
export type Refutation =
  ((edit: Edit) => void) | { readonly edit: (edit: Edit) => void; readonly also: readonly string[] }

export interface Declaration<Context> {
  /** What must hold, as one sentence. */
  readonly title: string
  readonly severity: Severity
  /** What breaks when it does not hold. */
  readonly because: string
  /** The Kubespray files, documents and issues that promise it. */
  readonly source: readonly string[]
  /** The command or edit that restores it. */
  readonly fix: string
  /** Invariants whose failure explains this one's. */
  readonly dependsOn?: readonly string[]
  /** Why it does not apply here; undefined where it does. */
  readonly unless?: (context: Context) => string | undefined
  readonly judge: (context: Context) => void
  /** Evidence that the shipped recordings lack, as a healthy cluster would give it: the refutations start from it. */
  readonly suppliedBy?: (edit: Edit) => void
  readonly refutedBy: Readonly<Record<string, Refutation>>
  /** How the statement differs from the catalogue's, where recordings or source showed the catalogue wrong. */
  readonly correction?: string
}

export type Invariant = Omit<Declaration<NodeContext>, 'judge' | 'unless'> & {
  readonly id: string
  readonly plane: Plane
  readonly on: Nodes | WholeCluster
  readonly judge: (context: NodeContext) => void
  readonly unless?: (context: NodeContext) => string | undefined
}

/** Who is told of each declared invariant: the catalogue by default, vitest while it runs the specs. */
type Listener = (invariant: Invariant) => void
let listener: Listener = () => {}

/** Sends declared invariants to another listener, and gives the one before. */
export function onDeclare(next: Listener): Listener {
  const before = listener
  listener = next
  return before
}

/** The invariants that the topology is the documented one: where it is not, they are why everything about the balancer fails. */
export const topology = ['var-no-external-lb', 'var-localhost-lb-on', 'var-lb-type'] as const

/** Declares the invariants of one plane. */
export function plane(name: Plane) {
  function invariant(id: string, declaration: Declaration<NodeContext> & { readonly on: Nodes }): void
  function invariant(id: string, declaration: Declaration<ClusterContext> & { readonly on: WholeCluster }): void
  function invariant(id: string, declaration: Declaration<NodeContext> & { readonly on: Nodes | WholeCluster }): void {
    listener({ id, plane: name, ...declaration })
  }
  return invariant
}
