import { probedNodes } from '../collect/probed-nodes.ts'
import { probesOf } from '../evidence/probes.ts'
import type { CataloguedInvariant } from '../invariant/catalogue.ts'
import { commandSource, fileSource, type Source } from '../recording/format.ts'
import type { Recording } from '../recording/recording.ts'
import { recordedOverrides } from '../targets/recorded.ts'
import { Baseline } from './refute.ts'

type Role = 'controlPlane' | 'worker'

/** Ids of the invariants that lose their evidence, by what can not be read. */
export interface Lost {
  readonly without: (sources: readonly Source[]) => string[]
  readonly withoutRoot: (role: Role) => string[]
  readonly withoutNode: (role: Role) => string[]
}

/** Finds out by taking evidence from a healthy recording: what judges it then is indeterminate. */
export async function lostWith(invariants: readonly CataloguedInvariant[], recording: Recording): Promise<Lost> {
  const baseline = new Baseline(invariants, recording, recordedOverrides(recording))
  const probed = await probedNodes(baseline.expectations)
  const model = {
    controlPlane: baseline.expectations.controlPlanes[0] ?? '',
    worker: baseline.expectations.workers[0] ?? '',
  }
  const without = (sources: readonly Source[]) => {
    const taken = sources.filter(source => recording.get(source) !== undefined)
    const after = baseline.after(new Map(taken.map(source => [source, undefined])))
    return [
      ...new Set(after.filter(({ status }) => status === 'indeterminate').map(({ invariant }) => invariant.id)),
    ].sort()
  }
  return {
    without,
    withoutNode: role =>
      without(recording.sources(`nodes/${model[role]}/`).filter(source => !source.endsWith('/collection'))),
    withoutRoot: role => {
      const name = model[role]
      const node = probed.get(name)
      if (node === undefined) return []
      const { commands, files } = probesOf(node)
      const patterns = files.filter(({ root }) => root).map(({ path }) => fileSource(name, path).split('*'))
      const isRoots = (source: Source) =>
        patterns.some(([head = '', tail]) =>
          tail === undefined ? source === head : source.startsWith(head) && source.endsWith(tail),
        )
      return without([
        ...commands.filter(({ root }) => root).map(({ id }) => commandSource(name, id)),
        ...recording.sources(`nodes/${name}/files`).filter(isRoots),
      ])
    },
  }
}
