import pLimit from 'p-limit'
import { type ApiProbe, apiProbes, CLUSTER_INFO, isCut, podLog } from '../evidence/api-probes.ts'
import type { Expectations } from '../expectations/expectations.ts'
import { apiText } from '../recording/api-text.ts'
import { type ApiRequest, withApi } from './api-access.ts'
import { ApiError, type KubeApi } from './kube-api.ts'

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
  const result = { texts: {}, missing: {}, readAt: Date.now() }
  try {
    return await withApi(request, api => read(api, request))
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const reason = request.signal.aborted ? 'collecting was interrupted' : error.message
    return { ...result, missing: Object.fromEntries(apiProbes.map(({ name }) => [`api/${name}`, reason])) }
  }
}

/** Asks for one object of each list. @returns why an answer would lack, by source */
export async function tryApi(request: ApiRequest): Promise<Record<string, string>> {
  const missing: Record<string, string> = {}
  const one = ({ name, path, kind }: ApiProbe, api: KubeApi) =>
    api.get(kind === 'list' ? `${path}?limit=1` : path).catch((error: unknown) => {
      missing[`api/${name}`] = (error as Error).message
    })
  try {
    await withApi(request, api => Promise.all(apiProbes.map(probe => one(probe, api))))
    return missing
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return Object.fromEntries(apiProbes.map(({ name }) => [`api/${name}`, error.message]))
  }
}

async function read(api: KubeApi, { expectations, signal }: ApiRequest): Promise<ApiResult> {
  const texts: Record<string, string> = {}
  const missing: Record<string, string> = {}
  const limit = pLimit(AT_ONCE)
  const keep = (name: string, ask: () => Promise<string>) =>
    limit(async () => {
      try {
        texts[`api/${name}`] = await ask()
      } catch (error) {
        missing[`api/${name}`] = signal.aborted ? 'collecting was interrupted' : (error as Error).message
      }
    })
  const began = Date.now()
  const ask = ({ name, path, kind }: ApiProbe) =>
    keep(name, async () => {
      if (kind === 'text') return api.get(path)
      const answer = kind === 'list' ? await api.list(path) : await api.get(path)
      return apiText(name === 'configmaps.json' ? joined(answer, await api.list(CLUSTER_INFO)) : answer)
    })
  const [leases, ...rest] = apiProbes
  await ask(leases)
  const readAt = api.serverTime ?? began
  await Promise.all(rest.map(ask))
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
