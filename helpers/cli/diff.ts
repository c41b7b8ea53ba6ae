import { compare } from '../diff/diff.ts'
import { told } from '../diff/text.ts'
import { UserError } from '../recording/errors.ts'
import { openRecording } from '../recording/open.ts'
import { run } from '../verdict/run.ts'
import { EXIT, main, options } from './command.ts'

const usage = `npm run diff -- BEFORE AFTER [options]

Judges two recordings, each by its own inventory and overrides, and tells which verdicts differ: new failures, healed
ones, evidence lost and gained, and what can not be compared (a node or an invariant that only one of them has), with
the lines of the evidence that changed.

  --fail-on-new    for a gate: exit status 1 where something fails that did not, 2 where evidence was lost
  --only NAME      only the invariants of this id, plane or severity (may be given again)
  --waivers FILE   failures that you accept for a while, in both
`

await main(usage, async () => {
  const {
    rest,
    only,
    waivers,
    'fail-on-new': gate,
  } = options(usage, { only: 'strings', waivers: 'string', 'fail-on-new': 'boolean' })
  const [before, after, more] = rest
  if (before === undefined || after === undefined || more !== undefined)
    throw new UserError('give two recordings: the earlier one, and the later one.')
  const judged = async (dir: string) => {
    const recording = openRecording(dir)
    return { report: await run({ recording: dir, only, waivers }, recording), recording }
  }
  const [old, fresh] = [await judged(before), await judged(after)]
  const changes = compare(old, fresh)
  console.log(told(changes, old.report, fresh.report))
  if (!gate) return EXIT.well
  if (changes.some(({ kind }) => kind === 'new failure')) return EXIT.failure
  return changes.some(({ kind }) => kind === 'evidence lost') ? EXIT.indeterminate : EXIT.well
})
