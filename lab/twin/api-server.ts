import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { apiProbes, CLUSTER_INFO } from '../../helpers/evidence/api-probes.ts'
import { textOf } from '../../helpers/recording/format.ts'
import type { Recording } from '../../helpers/recording/recording.ts'
import { selfSigned } from './certificate.ts'

/** What the API answers to a path instead of what was recorded: for faults. */
export type Fault = (
  path: string,
  call: number,
) => { status: number; headers?: Record<string, string>; body?: string; delay?: number } | undefined

/** A TLS server that answers as the recorded API did: lists in pages, pod logs, health. */
export class ApiTwin {
  readonly #server: Server
  readonly #ca: string
  /** Paths that were asked for, in order. */
  readonly asked: string[] = []

  private constructor(server: Server, ca: string) {
    this.#server = server
    this.#ca = ca
  }

  /** @param page objects in a page at most, whatever limit is asked for */
  static async start(
    recording: () => Recording,
    { page = 25, fault, expired = false }: { page?: number; fault?: Fault; expired?: boolean } = {},
  ): Promise<ApiTwin> {
    const { certificate, key } = selfSigned({ expired })
    const twin: { current?: ApiTwin } = {}
    const server = createServer({ cert: certificate, key }, (request, response) => {
      const url = new URL(request.url ?? '/', 'https://localhost')
      twin.current?.asked.push(url.pathname)
      const wrong = fault?.(url.pathname, twin.current?.asked.filter(path => path === url.pathname).length ?? 1)
      const { status, body } =
        request.headers.authorization === `Bearer ${TOKEN}`
          ? answer(recording(), url, page)
          : { status: 401, body: refusal('Unauthorized') }
      setTimeout(() => {
        response.writeHead(wrong?.status ?? status, {
          date: new Date(recording().apiReadAt).toUTCString(),
          ...wrong?.headers,
        })
        response.end(wrong === undefined ? body : (wrong.body ?? refusal(`the twin answers ${wrong.status}`)))
      }, wrong?.delay ?? 0)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return (twin.current = new ApiTwin(server, certificate))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** A kubeconfig that reaches it. */
  kubeconfig(token = TOKEN): string {
    return `apiVersion: v1
kind: Config
clusters: [{name: twin, cluster: {server: "https://127.0.0.1:${this.port}", certificate-authority-data: ${Buffer.from(this.#ca).toString('base64')}}}]
contexts: [{name: twin, context: {cluster: twin, user: reader}}]
current-context: twin
users: [{name: reader, user: {token: ${token}}}]
`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

const TOKEN = 'canary-bearer-token-of-the-twin'

function answer(recording: Recording, url: URL, page: number): { status: number; body: string } {
  const text = (name: string) => recording.get(`api/${name}`)
  const log = /\/pods\/([^/]+)\/log$/.exec(url.pathname)?.[1]
  if (log !== undefined) return found(textOf(logOf(recording, log)))
  if (url.pathname === CLUSTER_INFO) return list(textOf(text('configmaps.json')), url, page, 'kube-public')
  const probe = apiProbes.find(({ path }) => path.split('?')[0] === url.pathname)
  const evidence = probe && text(probe.name)
  if (evidence === undefined) return { status: 404, body: refusal(`the twin has no ${url.pathname}`) }
  if (probe?.kind !== 'list') return found(textOf(evidence))
  return list(textOf(evidence), url, page, /\/namespaces\/([^/]+)\//.exec(url.pathname)?.[1])
}

/** The recorded log of a static pod, or of the CoreDNS pods on a node. */
function logOf(recording: Recording, pod: string) {
  const balancer = recording.get(`api/log-${pod}.txt`)
  if (balancer !== undefined) return balancer
  const { items } = JSON.parse(textOf(recording.get('api/pods.json'))) as {
    items: { metadata: { name: string }; spec: { nodeName: string } }[]
  }
  const node = items.find(({ metadata }) => metadata.name === pod)?.spec.nodeName
  return node === undefined ? undefined : recording.get(`api/log-coredns-${node}.txt`)
}

function list(json: string, url: URL, page: number, namespace: string | undefined): { status: number; body: string } {
  const all = JSON.parse(json) as { items: { metadata: { namespace?: string } }[] }
  const items = all.items.filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
  const from = Number(url.searchParams.get('continue') ?? 0)
  const size = Math.min(page, Number(url.searchParams.get('limit') ?? items.length))
  const next = from + size < items.length ? { continue: String(from + size) } : {}
  return found(JSON.stringify({ ...all, metadata: next, items: items.slice(from, from + size) }))
}

function found(body: string): { status: number; body: string } {
  return body === '' ? { status: 404, body: refusal('the twin has no recorded answer') } : { status: 200, body }
}

function refusal(message: string): string {
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message })
}
