import { randomBytes } from 'node:crypto'
import type { NodeProbes } from '../evidence/probes.ts'
import type { NodeContent } from '../recording/write.ts'
import type { Connection } from './connect.ts'
import { FrameReader } from './frames.ts'
import { type Become, Unreachable } from './machine.ts'
import { render } from './script.ts'
import { runHere } from './local.ts'
import { type Limits, runScript } from './shell.ts'

/** What a machine answered: its evidence, and why some of what it was asked for lacks (by id or path). */
export interface Reading extends NodeContent {
  readonly isRoot: boolean
  readonly missing: ReadonlyMap<string, string>
}

/** Seconds that a command may be silent beyond its own time limit: `timeout` ends it by then. */
const GRACE = 2

/**
 * Runs the probes of a machine as one script over its connection, or on this machine where there is none.
 * What arrived before a machine stalls, or its connection breaks, is kept; the rest lacks, with the reason.
 * @param now the collecting machine's clock, in milliseconds since the epoch
 * @throws Unreachable where not even the first frame arrived
 */
export async function readMachine(
  connection: Connection | undefined,
  probes: NodeProbes,
  become: Become | undefined,
  limits: Limits,
  signal: AbortSignal,
  now: () => number = Date.now,
): Promise<Reading> {
  const nonce = randomBytes(16).toString('hex')
  const reader = new FrameReader(probes, nonce)
  const startedAt = now() / 1000
  const take = (bytes: Buffer) => {
    reader.feed(bytes)
    return reader.ended
  }
  const running = () => {
    const probe = probes.commands.find(({ id }) => id === reader.running)
    return probe && { what: probe.id, patience: (probe.limit + GRACE) * 1000 }
  }
  const script = { text: render(probes, nonce), become, limits, signal, take, running }
  const cut = await (connection === undefined ? runHere(script) : runScript(connection, script))
  if (reader.user === undefined) throw new Unreachable(cut ?? 'the script did not start')
  reader.answer.lacking(cut ?? 'the script did not tell of it')
  const { commands, files, missing } = reader.answer
  return {
    isRoot: reader.user === 0,
    startedAt,
    finishedAt: now() / 1000,
    commands,
    files,
    missing,
    ...(cut === undefined ? {} : { cut }),
  }
}
