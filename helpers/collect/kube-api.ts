import { type IncomingHttpHeaders, type RequestOptions } from 'node:http'
import https from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import { UserError } from '../recording/errors.ts'

/** An answer of the API that is not 200, or none at all: what it said, in a line. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const PAGE = 500
const TRIES = 4
/** Longest that a Retry-After is waited for, in milliseconds. */
const MOST_PATIENCE = 10_000

/** Reads an API server with a kubeconfig's credentials: one GET after the other, nothing else. */
export class KubeApi {
  readonly #config: KubeConfig
  readonly #limit: number
  readonly #signal: AbortSignal
  /** Milliseconds since the epoch by the server's own clock, as its last answer gave it. */
  serverTime: number | undefined

  /** @param limit milliseconds for one answer */
  constructor(config: KubeConfig, limit: number, signal: AbortSignal) {
    this.#config = config
    this.#limit = limit
    this.#signal = signal
  }

  /** @throws ApiError */
  async get(path: string): Promise<string> {
    for (let tries = 1; ; tries++) {
      const { status, headers, body } = await this.#request(path)
      if (status === 200) {
        this.serverTime = Date.parse(headers.date ?? '') || undefined
        return body
      }
      const wait = Number(headers['retry-after'] ?? 1) * 1000
      const again = (status === 429 || status === 503) && tries < TRIES && wait <= MOST_PATIENCE
      if (!again) throw new ApiError(`${path.split('?')[0] ?? ''}: ${inWords(status, body)}`)
      await new Promise(resolve => setTimeout(resolve, wait))
    }
  }

  /** A list in pages of 500, joined. @throws ApiError */
  async list(path: string): Promise<string> {
    const items: unknown[] = []
    let list: { metadata?: { continue?: string }; items?: unknown[] }
    let from = ''
    do {
      list = JSON.parse(await this.get(`${path}?limit=${PAGE}${from}`)) as typeof list
      items.push(...(list.items ?? []))
      from = `&continue=${encodeURIComponent(list.metadata?.continue ?? '')}`
    } while (list.metadata?.continue)
    return JSON.stringify({ ...list, metadata: {}, items })
  }

  async #request(path: string): Promise<Answer> {
    const server = this.#config.getCurrentCluster()?.server
    if (server === undefined) throw new UserError('the kubeconfig has no current cluster: set its current-context.')
    const options: RequestOptions = { method: 'GET', headers: { accept: 'application/json' } }
    await this.#config.applyToHTTPSOptions(options)
    return new Promise((resolve, reject) => {
      const url = new URL(`${server.replace(/\/$/, '')}${path}`)
      const request = https.request(url, { ...options, signal: this.#signal }, response => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('error', fail)
        response.on('end', () => {
          clearTimeout(timer)
          const body = Buffer.concat(parts).toString('utf8')
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
        })
      })
      const timer = setTimeout(
        () => request.destroy(new Error(`no answer within ${this.#limit / 1000} s`)),
        this.#limit,
      )
      const fail = (error: Error) => {
        clearTimeout(timer)
        reject(new ApiError(`${url.pathname}: ${error.message}`))
      }
      request.on('error', fail)
      request.end()
    })
  }
}

/** What a refusal means, with what to do. */
function inWords(status: number, body: string): string {
  const said = /"message":\s*"((?:[^"\\]|\\.)*)"/.exec(body)?.[1] ?? body.trim().split('\n')[0] ?? ''
  const remedy: Readonly<Record<number, string>> = {
    401: 'the credentials of the kubeconfig are not accepted (an expired certificate?)',
    403: 'the user of the kubeconfig may not read it: grant the ClusterRole of npm run probes -- --cluster-role',
    429: 'the API server is overloaded, and stayed so',
  }
  return `${status}${remedy[status] === undefined ? '' : ` ${remedy[status]}`}${said === '' ? '' : `: ${said}`}`
}
