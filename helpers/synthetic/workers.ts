import { type Evidence, type Source, textOf } from '../recording/format.ts'
import { Recording } from '../recording/recording.ts'
import { reissueCertificates } from './certificates.ts'
import { renamed, renamer } from './rename.ts'

/** Objects of the API are copied as plain JSON. */
type Json = any // eslint-disable-line @typescript-eslint/no-explicit-any

interface Worker {
  readonly name: string
  readonly address: string
  readonly podCidr: string
  readonly mac: string
}

/**
 * The same cluster with more workers, each a copy of the last one under its own name and address: evidence of the nodes, the
 * API, the controller's side and the inventory. For measuring, and for judging where there is more than one worker.
 */
export function withWorkers(original: Recording, count: number): Recording {
  // Only with all certificates issued again is there a key to sign the copies' with.
  const recording = renamed(original, {})
  const nodes = JSON.parse(textOf(recording.get('api/nodes.json'))) as { items: Json[] }
  const model = workerOf(nodes.items.find(item => !('node-role.kubernetes.io/control-plane' in item.metadata.labels)))
  const added = Array.from({ length: count }, (_, index) => newWorker(model, index))
  const evidence = new Map<Source, Evidence>()
  for (const source of recording.sources()) {
    const old = recording.get(source)
    if (old !== undefined) evidence.set(source, grown(source, old, model, added))
  }
  for (const worker of added) copyNode(recording, model, worker, [model, ...added], evidence)
  const manifest = {
    ...recording.manifest,
    nodes: { ...recording.manifest.nodes, ...Object.fromEntries(added.map(({ name }) => [name, {}])) },
    target: `synthetic: ${original.manifest.target}, with ${count} more workers`,
  }
  return new Recording(recording.dir, manifest, evidence)
}

function workerOf(node: Json): Worker {
  const mac = (JSON.parse(node.metadata.annotations['flannel.alpha.coreos.com/backend-data']) as { VtepMAC: string })
    .VtepMAC
  return {
    name: node.metadata.name as string,
    address: node.status.addresses[0].address as string,
    podCidr: node.spec.podCIDR as string,
    mac,
  }
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}

function newWorker({ name, address, podCidr }: Worker, index: number): Worker {
  const [a, b, c, d] = address.split('.').map(Number)
  const [p, q] = podCidr.split('.').map(Number)
  return {
    name: `${name}x${index + 1}`,
    address: [a, b, (c ?? 0) + 1 + Math.floor(((d ?? 0) + index) / 250), ((d ?? 0) + index) % 250].join('.'),
    podCidr: `${p}.${(q ?? 0) + Math.floor((68 + index) / 256)}.${(68 + index) % 256}.0/24`,
    mac: `02:00:00:00:${hex(index >> 8)}:${hex((index + 16) & 0xff)}`,
  }
}

/** A text that speaks of all nodes, with the new ones in it. */
function grown(source: Source, old: Evidence, model: Worker, added: readonly Worker[]): Evidence {
  const change = (text: string) => grow(source, text, model, added)
  if (old.kind === 'command') return { ...old, stdout: change(old.stdout) }
  return old.content === undefined ? old : { ...old, content: change(old.content) }
}

function grow(source: Source, text: string, model: Worker, added: readonly Worker[]): string {
  if (source.startsWith('api/') && source.endsWith('.json')) return growApi(source, text, model, added)
  if (source === 'controller/ansible-inventory-list.json') return growList(text, model, added)
  // The model routes to others, its copies to the model: all other nodes learn of the copies.
  if (source.endsWith('/commands/ip-route')) return growRoutes(text, added)
  if (source.endsWith('/commands/bridge-fdb-flannel')) return growForwarding(text, added)
  if (/^controller\/(inventory\/[^/]+$|ansible-inventory-graph|kubectl-|kubespray_install)/.test(source))
    return growLines(text, model, added)
  return text
}

function growApi(source: Source, text: string, model: Worker, added: readonly Worker[]): string {
  const list = JSON.parse(text) as { items?: Json[] }
  if (list.items === undefined) return text
  if (source === 'api/daemonsets.json') {
    for (const { status } of list.items) {
      if (status.desiredNumberScheduled > 0)
        for (const field of ['desiredNumberScheduled', 'numberReady', 'currentNumberScheduled'])
          status[field] = Number(status[field]) + added.length
    }
    return JSON.stringify(list)
  }
  const isOfWorker = (item: Json) =>
    item.metadata.name === model.name ||
    (item.spec?.nodeName === model.name && /^(nginx-proxy|kube-proxy|kube-flannel)/.test(item.metadata.name as string))
  const copies = list.items.filter(isOfWorker)
  for (const worker of added) {
    const rename = renamer(renaming(model, worker))
    for (const copy of copies) {
      const fresh = JSON.parse(rename(JSON.stringify(copy)))
      if (/-[a-z0-9]{5}$/.test(fresh.metadata.name as string))
        fresh.metadata.name = `${fresh.metadata.name}-${worker.name}`
      list.items.push(fresh)
    }
  }
  return JSON.stringify(list)
}

function growList(text: string, model: Worker, added: readonly Worker[]): string {
  const list = JSON.parse(text) as Record<string, { hosts?: string[]; hostvars?: Record<string, Json> }>
  for (const worker of added) {
    for (const group of Object.values(list)) if (group.hosts?.includes(model.name)) group.hosts.push(worker.name)
    const hostvars = list['_meta']?.hostvars
    if (hostvars) hostvars[worker.name] = { ...hostvars[model.name], ansible_host: worker.address, ip: worker.address }
  }
  return JSON.stringify(list)
}

/** Each line that begins with the model's name, or tells of what was done to it, once for each new worker. */
function growLines(text: string, model: Worker, added: readonly Worker[]): string {
  const isAbout = new RegExp(`^(?:[ |-]*${model.name}(?: |$)|(?:ok|changed|skipping): \\[${model.name}[\\] ])`)
  return text
    .split('\n')
    .flatMap(line =>
      isAbout.test(line) ? [line, ...added.map(worker => renamer(renaming(model, worker))(line))] : [line],
    )
    .join('\n')
}

function growRoutes(text: string, added: readonly Worker[]): string {
  const routes = JSON.parse(text) as Json[]
  const example = routes.find(({ dev }) => dev.startsWith('flannel'))
  for (const { podCidr } of added) routes.push({ ...example, dst: podCidr, gateway: podCidr.replace(/\/\d+$/, '') })
  return JSON.stringify(routes)
}

function growForwarding(text: string, added: readonly Worker[]): string {
  return JSON.stringify([
    ...(JSON.parse(text) as Json[]),
    ...added.map(({ mac, address }) => ({ mac, dst: address, flags: ['self'], state: 'permanent' })),
  ])
}

/** The evidence of a node, as the copy has it. */
function copyNode(
  recording: Recording,
  model: Worker,
  worker: Worker,
  workers: readonly Worker[],
  evidence: Map<Source, Evidence>,
): void {
  const rename = renamer(renaming(model, worker))
  const own = [`nodes/${model.name}/`, `api/log-nginx-proxy-${model.name}`]
  const sources = recording.sources().filter(source => own.some(prefix => source.startsWith(prefix)))
  const copies = new Map<Source, Evidence>()
  for (const source of sources) {
    const old = recording.get(source)
    if (old === undefined) continue
    const text = (content: string) => neighbours(source, rename(content), worker, workers)
    const fresh =
      old.kind === 'command'
        ? { ...old, stdout: text(old.stdout), command: rename(old.command) }
        : { ...old, ...(old.content === undefined ? {} : { content: text(old.content) }) }
    copies.set(rename(source), fresh)
  }
  const issued = reissueCertificates(new Recording('', recording.manifest, copies), rename)
  for (const source of issued.sources()) {
    const fresh = issued.get(source)
    if (fresh !== undefined) evidence.set(source, fresh)
  }
}

/** Routes and forwarding entries of a copy lead to every worker but itself. */
function neighbours(source: Source, text: string, worker: Worker, workers: readonly Worker[]): string {
  const others = workers.filter(({ name }) => name !== worker.name)
  if (source.endsWith('/commands/ip-route')) return growRoutes(text, others)
  if (source.endsWith('/commands/bridge-fdb-flannel')) return growForwarding(text, others)
  return text
}

function renaming(model: Worker, worker: Worker): Record<string, string> {
  const network = (cidr: string) => cidr.replace(/\.\d+\/\d+$/, '')
  return {
    [model.name]: worker.name,
    [model.address]: worker.address,
    [network(model.podCidr)]: network(worker.podCidr),
    [model.mac]: worker.mac,
  }
}
