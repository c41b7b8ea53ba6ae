import pLimit from 'p-limit'
import { tryApi } from './api.ts'
import type { Door } from './api-access.ts'
import type { CollectRequest } from './collect.ts'
import { connect } from './connect.ts'
import { type Machine, Unreachable } from './machine.ts'
import { readMachine } from './read-machine.ts'

/** What the credentials given would reach. */
export interface Preflight {
  /** By machine: whether its evidence would be read as root, or why it could not be read. */
  readonly machines: ReadonlyMap<string, boolean | string>
  /** Why an answer of the API would lack, by source. */
  readonly api: Readonly<Record<string, string>>
}

/** Logs in everywhere and asks for one object of each list: what a run would need, without reading it. */
export async function preflight(
  request: Omit<CollectRequest, 'out' | 'onProgress'>,
  signal: AbortSignal,
): Promise<Preflight> {
  const { expectations, limits, kubeconfig } = request
  const limit = pLimit(request.forks)
  const machines = new Map<string, boolean | string>()
  const ask = async (name: string, machine: Machine): Promise<Door | undefined> => {
    try {
      const connection = await connect(machine, limits.connect, signal)
      const reading = await readMachine(connection, { commands: [], files: [] }, machine.become, limits, signal)
      machines.set(name, reading.isRoot)
      return connection && { connection, machine }
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      machines.set(name, error.message)
      return undefined
    }
  }
  const asked = new Map([...request.machines].map(([name, machine]) => [name, limit(() => ask(name, machine))]))
  const doors = expectations.controlPlanes.flatMap(name => asked.get(name) ?? [])
  const api = await tryApi({ kubeconfig, doors, expectations, limits, signal })
  for (const door of await Promise.all(asked.values())) door?.connection.close()
  return { machines, api }
}
