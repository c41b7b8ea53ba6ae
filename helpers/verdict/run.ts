import { existsSync, readFileSync } from 'node:fs'
import { readOverrides } from '../expectations/overrides.ts'
import { type CataloguedInvariant, catalogue } from '../invariant/catalogue.ts'
import { planes, severities } from '../invariant/invariant.ts'
import { UserError } from '../recording/errors.ts'
import { openRecording } from '../recording/open.ts'
import type { Recording } from '../recording/recording.ts'
import { countsOf, exitCodeOf, type Report } from '../report/records.ts'
import { expectationsFor, recordedOverrides } from '../targets/recorded.ts'
import { show } from '../invariant/check.ts'
import { suiteVersion } from '../recording/suite.ts'
import { judge } from './judge.ts'
import { record } from './record.ts'
import { accept, readWaivers } from './waivers.ts'

export interface Request {
  readonly recording: string
  readonly inventory?: string | undefined
  /** Ids, planes or severities. */
  readonly only?: readonly string[] | undefined
  readonly nodes?: readonly string[] | undefined
  readonly waivers?: string | undefined
  readonly overrides?: string | undefined
  /** `YYYY-MM-DD`, for waivers: by default this day, by UTC. */
  readonly today?: string | undefined
}

/**
 * Judges a recording and tells the verdicts as a report. Everything is judged, so that root causes are known; the selection only limits what is told.
 * @param opened the recording itself, where the caller has it open already
 * @throws UserError that names the file or option
 */
export async function run(request: Request, opened?: Recording): Promise<Report> {
  const { invariants, selected, waivers } = await prepare(request)
  const recording = opened ?? openRecording(request.recording)
  const overrides =
    request.overrides === undefined
      ? recordedOverrides(recording)
      : readOverrides(readText(request.overrides), request.overrides)
  const ids = new Set(invariants.map(({ id }) => id))
  for (const { id } of overrides.knownGaps) {
    if (!ids.has(id))
      throw new UserError(`${overrides.file}: knownGaps: unknown invariant ${id}. npm run list shows them all.`)
  }
  const expectations = expectationsFor(recording, overrides, request.inventory)
  const nodes = request.nodes ?? []
  const today = request.today ?? new Date().toISOString().slice(0, 10)
  const unknownNode = nodes.find(node => !expectations.machines.includes(node))
  if (unknownNode !== undefined) {
    throw new UserError(
      `--node ${unknownNode}: no such host in the inventory. It has ${expectations.machines.join(', ')}.`,
    )
  }
  const { verdicts, notes } = accept(judge(invariants, recording, expectations), waivers, overrides, today)
  const told = verdicts
    .filter(({ invariant, subject }) => selected.has(invariant.id) && (nodes.length === 0 || nodes.includes(subject)))
    .map(verdict => record(verdict, recording))
  if (told.length === 0) {
    throw new UserError(
      `--only and --node leave nothing to judge: none of these invariants is about ${nodes.join(', ')}.`,
    )
  }
  return {
    schema: 1,
    suite: suiteVersion,
    recording: request.recording,
    target: recording.manifest.target,
    recordedAt: recording.manifest.recordedAt,
    judgedAt: new Date().toISOString(),
    complete: recording.manifest.complete,
    release: expectations.release?.tag ?? 'unknown',
    topology: topologyOf(() => expectations.topology),
    nodes: expectations.machines,
    ...(selected.size < invariants.length || nodes.length > 0
      ? { selection: [...(request.only ?? []), ...nodes].join(', ') }
      : {}),
    overrides: overrides.expectations.map(({ variable, value, reason }) => `${variable} = ${show(value)}: ${reason}`),
    notes: [...notes],
    counts: countsOf(told),
    exitCode: exitCodeOf(told),
    verdicts: told,
  }
}

/** What a request asks for, as far as that hangs on no recording. @throws UserError for an unknown name, or waivers that can not be read */
export async function prepare({ only, waivers: file }: Pick<Request, 'only' | 'waivers'>) {
  const invariants = await catalogue()
  const ids = new Set(invariants.map(({ id }) => id))
  const selected = select(invariants, only ?? [])
  return { invariants, selected, waivers: file === undefined ? [] : readWaivers(readText(file), file, ids) }
}

function topologyOf(read: () => string): string {
  try {
    return read()
  } catch (error) {
    return `unknown (${(error as Error).message})`
  }
}

/** The invariants that `--only` names by id, plane or severity. @throws UserError */
function select(invariants: readonly CataloguedInvariant[], only: readonly string[]): Set<string> {
  const ids = invariants.map(({ id }) => id)
  for (const name of only) {
    if (
      !ids.includes(name) &&
      !planes.some(plane => plane === name) &&
      !severities.some(severity => severity === name)
    ) {
      throw new UserError(
        `--only ${name}: unknown invariant${closest(name, ids)}. Give an id, a plane (${planes.join(', ')}) or a severity (${severities.join(', ')}).`,
      )
    }
  }
  const isMeant = ({ id, plane, severity }: CataloguedInvariant) =>
    only.length === 0 || [id, plane, severity].some(name => only.includes(name))
  return new Set(invariants.filter(isMeant).map(({ id }) => id))
}

/** Names that a mistyped one may mean. */
export function closest(name: string, names: readonly string[]): string {
  const shared = (known: string) => known.split('').findIndex((letter, index) => letter !== name[index])
  const near = [...names]
    .filter(known => known.includes(name) || shared(known) > 3)
    .sort((a, b) => shared(b) - shared(a))
  return near.length > 0 ? ` (did you mean ${near.slice(0, 3).join(', ')}?)` : ''
}

function readText(path: string): string {
  if (!existsSync(path)) throw new UserError(`${path}: no such file.`)
  return readFileSync(path, 'utf8')
}
