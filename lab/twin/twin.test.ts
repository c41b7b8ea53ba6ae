import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compare } from '../../helpers/diff/diff.ts'
import { catalogue } from '../../helpers/invariant/catalogue.ts'
import { Edit } from '../../helpers/invariant/edit.ts'
import { openRecording } from '../../helpers/recording/open.ts'
import type { Evidence } from '../../helpers/recording/format.ts'
import { findListing } from '../../helpers/facts/listing.ts'
import type { Recording } from '../../helpers/recording/recording.ts'
import { expectationsFor, recordedOverrides } from '../../helpers/targets/recorded.ts'
import { judgeAll, subjectsOf } from '../../helpers/verdict/judge.ts'
import { run } from '../../helpers/verdict/run.ts'
import { keyOf } from '../../helpers/verdict/verdict.ts'
import { ApiTwin } from './api-server.ts'
import { collectTwin, optionsFor } from './collecting.ts'
import { noDocker, Twin } from './twin.ts'

const without = noDocker()
const healthy = openRecording('recordings/case1-remediated')
const invariants = await catalogue()

describe.skipIf(without !== undefined)(
  `a twin of the healthy recording${without === undefined ? '' : ` (skipped: ${without})`}`,
  () => {
    const out = mkdtempSync(join(tmpdir(), 'collected-'))
    let twin: Twin
    let api: ApiTwin
    let collected: Recording

    beforeAll(async () => {
      twin = await Twin.start(healthy)
      api = await ApiTwin.start(() => twin.recording)
      await collectTwin(twin, optionsFor(twin, api), join(out, 'first'))
      collected = openRecording(join(out, 'first'))
    })
    afterAll(async () => {
      await api.stop()
      await twin.stop()
      rmSync(out, { recursive: true, force: true })
    })

    test('collecting gives a recording that judges exactly as the original', () => {
      expect(statuses(collected)).toEqual(statuses(healthy))
    })

    test('a second recording of the unchanged twin differs in no verdict and no finding', async () => {
      await collectTwin(twin, optionsFor(twin, api), join(out, 'second'))
      const judged = async (name: string) => {
        const recording = openRecording(join(out, name))
        return { report: await run({ recording: join(out, name) }, recording), recording }
      }
      expect(compare(await judged('first'), await judged('second'))).toEqual([])
    })

    test('Secrets are never asked for, and every list is read in pages', () => {
      expect(api.asked.filter(path => path.includes('secrets'))).toEqual([])
      expect(api.asked.filter(path => path.endsWith('/configmaps')).length).toBeGreaterThan(1)
    })

    const samples = refutations()
    test.each(samples)('$id refuted on the machine: "$refutation" on $node', async ({ changes, id, node }) => {
      const edited = healthy.with(changes)
      await twin.lay(edited, [node])
      try {
        const folder = join(out, id)
        await collectTwin(twin, optionsFor(twin, api), folder)
        const found = statuses(openRecording(folder))
        const wanted = statuses(edited)
        expect(found).toEqual(wanted)
        expect(
          Object.entries(found).filter(([key, status]) => key.startsWith(`${id}@`) && status === 'fail'),
        ).not.toEqual([])
      } finally {
        await twin.lay(healthy, [node])
      }
    })
  },
)

/** `status` of every verdict, by `id@subject`. */
function statuses(recording: Recording): Record<string, string> {
  const expectations = expectationsFor(recording, recordedOverrides(recording))
  return Object.fromEntries(
    judgeAll(invariants, recording, expectations).map(verdict => [keyOf(verdict), verdict.status]),
  )
}

/** What a listing lists: an edit that hides a file that is also recorded on its own is no state that a machine can be in. */
function paths(evidence: Evidence | undefined): string {
  const listed =
    evidence?.kind === 'command' && / -printf /.test(evidence.command) ? findListing(evidence.stdout) : undefined
  return listed?.ok === true ? listed.value.entries.map(({ path }) => path).join('\n') : ''
}

/** Of each spec file the first refutation that edits only what lies on one node. */
function refutations() {
  const expectations = expectationsFor(healthy, recordedOverrides(healthy))
  const specs = new Map<string, { id: string; refutation: string; node: string; changes: Edit['changes'] }>()
  for (const invariant of invariants) {
    if (specs.has(invariant.spec) || invariant.suppliedBy !== undefined) continue
    const [subject = ''] = subjectsOf(invariant, expectations)
    const node = healthy.nodes.includes(subject) ? subject : (healthy.nodes[0] ?? '')
    for (const [refutation, how] of Object.entries(invariant.refutedBy)) {
      const edit = new Edit(healthy, node)
      ;(typeof how === 'function' ? how : how.edit)(edit)
      const sources = [...edit.changes.keys()]
      if (!sources.every(source => source.startsWith(`nodes/${node}/`) && !source.endsWith('/collection'))) continue
      if (sources.some(source => paths(healthy.get(source)) !== paths(edit.changes.get(source)))) continue
      specs.set(invariant.spec, { id: invariant.id, refutation, node, changes: edit.changes })
      break
    }
  }
  return [...specs.values()]
}
