import { readFileSync } from 'node:fs'
import type { KubeConfig } from '@kubernetes/client-node'
import type { Expectations } from '../expectations/expectations.ts'
import type { Connection } from './connect.ts'
import { ApiError, KubeApi } from './kube-api.ts'
import type { Machine } from './machine.ts'
import { type Limits, runScript } from './shell.ts'
import { tunnel } from './tunnel.ts'

/** A control plane through whose connection the API can be reached. */
export interface Door {
  readonly connection: Connection
  readonly machine: Machine
}

export interface ApiRequest {
  /** A kubeconfig file; where none is given, the admin.conf of a control plane is used, through its SSH connection. */
  readonly kubeconfig: string | undefined
  /** The control planes in the inventory's order, each once it was read; undefined for one that could not be reached. */
  readonly doors: readonly Promise<Door | undefined>[]
  readonly expectations: Expectations
  readonly limits: Limits
  readonly signal: AbortSignal
}

/** Does something with the API, by the first way that leads to it. @throws ApiError that says why none does */
export async function withApi<T>(request: ApiRequest, use: (api: KubeApi) => Promise<T>): Promise<T> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const { kubeconfig, doors, limits, signal } = request
  if (kubeconfig !== undefined) {
    const config = new KubeConfig()
    try {
      config.loadFromString(readFileSync(kubeconfig, 'utf8'))
    } catch (error) {
      throw new ApiError(`${kubeconfig}: ${(error as Error).message}`)
    }
    return use(new KubeApi(config, limits.answer, signal))
  }
  let why = 'no control plane could be reached'
  for (const door of doors) {
    const opened = await door
    if (opened === undefined) continue
    try {
      return await through(opened, new KubeConfig(), request, use)
    } catch (error) {
      why = `through ${opened.machine.name}: ${(error as Error).message}`
    }
  }
  throw new ApiError(why)
}

/** Through a control plane's SSH connection to its own API server, with its administrator's kubeconfig, which stays in memory. */
async function through<T>(
  { connection, machine }: Door,
  config: KubeConfig,
  request: ApiRequest,
  use: (api: KubeApi) => Promise<T>,
): Promise<T> {
  const { limits, signal } = request
  const want = request.expectations.values(machine.name)
  config.loadFromString(await adminKubeconfig(connection, machine, `${want.kube_config_dir}/admin.conf`, request))
  const port = await tunnel(connection, '127.0.0.1', want.kube_apiserver_port, limits.connect)
  try {
    config.clusters = config.clusters.map(cluster => ({ ...cluster, server: `https://127.0.0.1:${port.port}` }))
    const api = new KubeApi(config, limits.answer, signal)
    await api.get('/version')
    return await use(api)
  } finally {
    port.close()
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
