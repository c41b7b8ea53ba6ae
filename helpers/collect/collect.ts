import { setMaxListeners } from 'node:events'
import pLimit from 'p-limit'
import type { Expectations } from '../expectations/expectations.ts'
import { suiteVersion } from '../recording/suite.ts'
import { RecordingWriter } from '../recording/write.ts'
import { commandSource, fileSource } from '../recording/format.ts'
import { collectApi } from './api.ts'
import type { Door } from './api-access.ts'
import { connect, type Connection } from './connect.ts'
import { type Controller, controllerProbes } from '../evidence/controller-probes.ts'
import { probesOf } from '../evidence/probes.ts'
import { redact } from '../facts/secrets.ts'
import { probedNodes } from './probed-nodes.ts'
import { type Machine, Unreachable } from './machine.ts'
import { type Reading, readMachine } from './read-machine.ts'
import type { Limits } from './shell.ts'

export interface CollectRequest {
  readonly expectations: Expectations
  /** `controller/…` texts that are known already: the inventory's files, extra vars, the release; and overrides.yaml. */
  readonly texts: Readonly<Record<string, string>>
  readonly machines: ReadonlyMap<string, Machine>
  readonly controller: { readonly machine: Machine; readonly side: Controller }
  /** A kubeconfig file for the API; where none is given, that of a control plane through its SSH connection. */
  readonly kubeconfig: string | undefined
  /** How many machines are read at once. */
  readonly forks: number
  readonly limits: Limits
  readonly target: string
  /** The recording's folder; one that lies there is replaced where `replace` says so. */
  readonly out: string
  readonly replace?: boolean
  /** This machine's clock, in milliseconds since the epoch. */
  readonly now?: () => number
  /** Is told of each machine as it ends. */
  readonly onProgress: (line: string) => void
}

export interface Collected {
  readonly complete: boolean
  readonly reached: number
  readonly unreached: readonly string[]
}

/**
 * Reads a running cluster into a recording: every machine once over one connection, the API, and the controller.
 * A machine that can not be read is evidence, not an error. On abort what was read until then is written, marked as partial.
 * @throws UserError where the folder can not be written
 */
export async function collect(request: CollectRequest, signal: AbortSignal): Promise<Collected> {
  const { expectations, machines, forks, limits, onProgress, now = Date.now } = request
  setMaxListeners(0, signal)
  const writer = new RecordingWriter(request.out, { replace: request.replace ?? false })
  const missing: Record<string, string> = {}
  const unreached: string[] = []
  const limit = pLimit(forks)
  const probed = await probedNodes(expectations)
  const doors = new Map(expectations.controlPlanes.map(name => [name, new Doorway()]))
  const closing: (() => void)[] = []

  const readNode = async (name: string, machine: Machine) => {
    const began = Date.now()
    const door = doors.get(name)
    const node = probed.get(name)
    let connection: Connection | undefined
    try {
      if (signal.aborted) throw new Unreachable('collecting was interrupted')
      connection = await connect(machine, limits.connect, signal)
      const probes = node === undefined ? { commands: [], files: [] } : probesOf(node)
      const reading = await readMachine(connection, probes, machine.become, limits, signal, now)
      note(name, reading, missing)
      writer.node(name, reading)
      onProgress(`${name}: read in ${seconds(began)}${reading.cut === undefined ? '' : `, in part: ${reading.cut}`}`)
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      const why = redact(error.message)
      writer.node(name, why)
      unreached.push(name)
      onProgress(`${name}: not reached: ${why}`)
    }
    if (connection !== undefined && door !== undefined && !signal.aborted) {
      closing.push(connection.close)
      door.open({ connection, machine })
    } else {
      connection?.close()
      door?.open(undefined)
    }
  }

  const nodes = [...machines].map(([name, machine]) => limit(() => readNode(name, machine)))
  const api = readApi(request, [...doors.values()], signal)
  const controller = readController(request, signal)
  const [{ texts: apiTexts, missing: apiMissing, readAt }, controllerSide] = await Promise.all([
    api,
    controller,
    Promise.all(nodes),
  ])
  for (const close of closing) close()
  const texts = { ...request.texts, ...controllerSide.texts, ...apiTexts }
  for (const [path, text] of Object.entries(texts)) writer.text(path, path === 'overrides.yaml' ? text : redact(text))
  writer.finish({
    suite: suiteVersion,
    recordedAt: new Date(now()).toISOString(),
    apiReadAt: new Date(readAt).toISOString(),
    target: request.target,
    complete: !signal.aborted,
    missing: { ...missing, ...controllerSide.missing, ...apiMissing },
  })
  return { complete: !signal.aborted, reached: machines.size - unreached.length, unreached }
}

/** A control plane's connection, for the API, once the machine was read. */
class Doorway {
  readonly opened: Promise<Door | undefined>
  open: (door: Door | undefined) => void = () => {}

  constructor() {
    this.opened = new Promise(resolve => (this.open = resolve))
  }
}

function note(name: string, reading: Reading, missing: Record<string, string>): void {
  for (const [what, why] of reading.missing)
    missing[what.startsWith('/') ? fileSource(name, what) : commandSource(name, what)] = why
}

async function readApi(request: CollectRequest, doors: readonly Doorway[], signal: AbortSignal) {
  const began = Date.now()
  const result = await collectApi({
    kubeconfig: request.kubeconfig,
    doors: doors.map(({ opened }) => opened),
    expectations: request.expectations,
    limits: request.limits,
    signal,
  })
  const failed = Object.values(result.missing)
  request.onProgress(
    failed.length === 0
      ? `the API: read in ${seconds(began)}`
      : `the API: ${failed.length} answers lack: ${failed[0] ?? ''}`,
  )
  return result
}

/** Reads the controller's side. What a command there could not say lacks with the reason; the rest of the run goes on. */
async function readController({ controller, limits, onProgress }: CollectRequest, signal: AbortSignal) {
  const { machine, side } = controller
  const { names, ...probes } = controllerProbes(side)
  const texts: Record<string, string> = {}
  const missing: Record<string, string> = {}
  let connection: Connection | undefined
  try {
    connection = await connect(machine, limits.connect, signal)
    const reading = await readMachine(connection, probes, undefined, { ...limits, machine: 600_000 }, signal)
    for (const [id, { stdout, stderr, exitCode, timedOut, truncated }] of Object.entries(reading.commands)) {
      const name = `controller/${names.get(id) ?? id}`
      if (exitCode === 0 && !timedOut && !truncated) texts[name] = stdout
      else
        missing[name] = timedOut
          ? 'it did not end within its time limit'
          : `${stderr.trim().split('\n').at(-1) ?? ''} (exit status ${exitCode ?? 'none'})`
    }
    for (const [path, { content, absent, withheld }] of Object.entries(reading.files)) {
      const name = [...names].find(
        ([asked]) => asked === path || (asked.startsWith('~/') && path.endsWith(asked.slice(1))),
      )?.[1]
      if (name === undefined) continue
      if (content === undefined) missing[`controller/${name}`] = `${path}: ${absent ?? withheld ?? 'not read'}`
      else texts[`controller/${name}`] = content
    }
    for (const [what, why] of reading.missing) {
      const name = `controller/${names.get(what) ?? what}`
      if (texts[name] === undefined) missing[name] ??= why
    }
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error
    for (const name of names.values()) missing[`controller/${name}`] = `${machine.name}: ${redact(error.message)}`
    onProgress(`${machine.name} (administrator's machine): not reached: ${redact(error.message)}`)
  } finally {
    connection?.close()
  }
  return { texts, missing }
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`
}
