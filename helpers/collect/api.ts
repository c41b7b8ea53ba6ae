import { readFileSync } from 'node:fs'
import type { KubeConfig } from '@kubernetes/client-node'
import pLimit from 'p-limit'
import { apiProbes, CLUSTER_INFO, isCut, podLog } from '../evidence/api-probes.ts'
import type { Expectations } from '../expectations/expectations.ts'
import { apiText } from '../recording/api-text.ts'
import type { Connection } from './connect.ts'
import { ApiError, KubeApi } from './kube-api.ts'
import { type Machine } from './machine.ts'
import { type Limits, runScript } from './shell.ts'
import { tunnel } from './tunnel.ts'

/** A control plane through whose connection the API can be reached. */
export interface ApiAccess {
  readonly connection: Connection
  readonly machine: Machine
}

export interface ApiRequest {
  readonly kubeconfig: string | undefined
  /** The control planes in the inventory's order, each once it was read; undefined for one that could not be reached. */
  readonly doors: readonly Promise<ApiAccess | undefined>[]
  readonly expectations: Expectations
  readonly limits: Limits
  readonly signal: AbortSignal
}

export interface ApiResult {
  readonly texts: Record<string, string>
  /** Why an answer lacks, by source. */
  readonly missing: Record<string, string>
  /** Milliseconds since the epoch, by the API server's clock where it told. */
  readonly readAt: number
}

/** Requests at once: client-go's own default is 5 a second for an unknown client, with bursts of 10. */
const AT_ONCE = 6

/** Reads the API; what it refuses, or does not answer, lacks with the reason. */
export async function collectApi(request: ApiRequest): Promise<ApiResult> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  if (request.kubeconfig !== undefined) {
    const config = new KubeConfig()
    try {
      config.loadFromString(readFileSync(request.kubeconfig, 'utf8'))
      return await read(new KubeApi(config, request.limits.answer, request.signal), request)
    } catch (error) {
      return nothing(request, `${request.kubeconfig}: ${(error as Error).message}`)
    }
  }
  let why = 'no control plane could be reached'
  for (const door of request.doors) {
    const access = await door
    if (access === undefined) continue
    try {
      return await through(access, new KubeConfig(), request)
    } catch (error) {
      why = `through ${access.machine.name}: ${(error as Error).message}`
    }
  }
  return nothing(request, why)
}

/** Through a control plane's SSH connection to its own API server, with its administrator's kubeconfig, which stays in memory. */
async function through(
  { connection, machine }: ApiAccess,
  config: KubeConfig,
  request: ApiRequest,
): Promise<ApiResult> {
  const want = request.expectations.values(machine.name)
  config.loadFromString(await adminKubeconfig(connection, machine, `${want.kube_config_dir}/admin.conf`, request))
  const door = await tunnel(connection, '127.0.0.1', want.kube_apiserver_port, request.limits.connect)
  try {
    config.clusters = config.clusters.map(cluster => ({ ...cluster, server: `https://127.0.0.1:${door.port}` }))
    const api = new KubeApi(config, request.limits.answer, request.signal)
    await api.get('/version')
    return await read(api, request)
  } finally {
    door.close()
  }
}

async function adminKubeconfig(
  connection: Connection,
  { become }: Machine,
  path: string,
  request: ApiRequest,
): Promise<string> {
  const { limits, signal } = request
  let text = ''
  const take = (bytes: Buffer) => {
    text += bytes.toString('utf8')
    return text.includes('\n--end--\n')
  }
  const script = `echo --begin--; cat '${path}' 2>&1; printf '\\n--end--\\n'; exit 0\n`
  const why = await runScript(connection, { text: script, become, limits, signal, take })
  const found = /--begin--\n([\s\S]*)\n--end--\n/.exec(text)?.[1]
  if (why !== undefined || found === undefined) throw new ApiError(why ?? `${path} can not be read`)
  if (!/^kind: Config$/m.test(found))
    throw new ApiError(
      `${found.trim().split('\n')[0] ?? path}: the API is read with it as root (--become), or give --kubeconfig`,
    )
  return found
}

async function read(api: KubeApi, { expectations, signal }: ApiRequest): Promise<ApiResult> {
  const texts: Record<string, string> = {}
  const missing: Record<string, string> = {}
  let readAt = Date.now()
  const limit = pLimit(AT_ONCE)
  const keep = (name: string, ask: () => Promise<string>) =>
    limit(async () => {
      try {
        texts[`api/${name}`] = await ask()
      } catch (error) {
        missing[`api/${name}`] = signal.aborted ? 'collecting was interrupted' : (error as Error).message
      }
    })
  const [leases, ...rest] = apiProbes.map(({ name, path, kind }) => async () => {
    if (kind === 'text') return api.get(path)
    const answer = kind === 'list' ? await api.list(path) : await api.get(path)
    return apiText(name === 'configmaps.json' ? joined(answer, await api.list(CLUSTER_INFO)) : answer)
  })
  if (leases !== undefined) await keep(apiProbes[0]?.name ?? '', leases)
  readAt = api.serverTime ?? readAt
  await Promise.all(rest.map((ask, index) => keep(apiProbes[index + 1]?.name ?? '', ask)))
  await Promise.all(
    logsOf(texts['api/pods.json'], expectations).map(({ name, pods }) =>
      keep(name, async () => {
        const logs = await Promise.all(pods.map(pod => api.get(podLog(pod))))
        if (logs.some(isCut)) throw new ApiError(`the log is longer than what is read of one`)
        return logs.join('')
      }),
    ),
  )
  return { texts, missing, readAt }
}

/** Logs that invariants read: of the balancer on each worker, and of CoreDNS on each node where it runs. */
function logsOf(podsJson: string | undefined, expectations: Expectations): { name: string; pods: string[] }[] {
  const { items = [] } = JSON.parse(podsJson ?? '{}') as {
    items?: { metadata: { name: string; labels?: Record<string, string> }; spec: { nodeName?: string } }[]
  }
  const balancers = expectations.workers.flatMap(host => {
    const want = expectations.values(host)
    const node = want.kube_override_hostname ?? host
    const pod = `${want.loadbalancer_apiserver_pod_name}-${node}`
    const exists = items.some(({ metadata }) => metadata.name === pod)
    return exists ? [{ name: `log-${want.loadbalancer_apiserver_pod_name}-${host}.txt`, pods: [pod] }] : []
  })
  const dns = expectations.nodes.flatMap(host => {
    const node = expectations.values(host).kube_override_hostname ?? host
    const pods = items
      .filter(({ metadata, spec }) => metadata.labels?.['k8s-app'] === 'kube-dns' && spec.nodeName === node)
      .map(({ metadata }) => metadata.name)
    return pods.length > 0 ? [{ name: `log-coredns-${host}.txt`, pods }] : []
  })
  return [...balancers, ...dns]
}

function joined(list: string, other: string): string {
  const [a, b] = [list, other].map(text => JSON.parse(text) as { items: unknown[] })
  return JSON.stringify({ ...a, items: [...(a?.items ?? []), ...(b?.items ?? [])] })
}

function nothing(request: ApiRequest, why: string): ApiResult {
  const reason = request.signal.aborted ? 'collecting was interrupted' : why
  const missing = Object.fromEntries(apiProbes.map(({ name }) => [`api/${name}`, reason]))
  return { texts: {}, missing, readAt: Date.now() }
}
