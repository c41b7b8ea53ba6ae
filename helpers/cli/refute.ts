import { catalogue } from '../invariant/catalogue.ts'
import { openRecording } from '../recording/open.ts'
import { Baseline, refute, spoil } from '../refute/refute.ts'
import { isInput, recordedOverrides } from '../targets/recorded.ts'
import { main, options, shippedRecording } from './command.ts'

const usage = `npm run refute -- [--recording DIR] [--only ID]

Proves that every check can fail: applies each invariant's refutations to a healthy recording and expects
exactly that invariant to fail, then deletes and garbles every source of evidence and expects every verdict
that cites it to become indeterminate. Exit status 0 if all are caught, 1 if not.

  --recording DIR  the healthy recording (default: ${shippedRecording})
  --only ID        the refutations of one invariant
`

await main(usage, async () => {
  const { recording: dir = shippedRecording, only } = options(usage, { recording: 'string', only: 'string' })
  const recording = openRecording(dir)
  const invariants = await catalogue()
  const baseline = new Baseline(invariants, recording, recordedOverrides(recording))
  const refuted = invariants
    .filter(({ id }) => only === undefined || id === only)
    .flatMap(invariant => refute(invariant, baseline))
  for (const { invariant, subject, refutation, problems } of refuted) {
    for (const problem of problems) console.error(`${invariant.id}@${subject} "${refutation}": ${problem}`)
  }
  const caught = refuted.filter(({ problems }) => problems.length === 0).length
  console.log(`refutations: ${caught} of ${refuted.length} caught (${invariants.length} invariants)`)
  if (only !== undefined) return caught === refuted.length ? 0 : 1

  const spoilt = recording
    .sources()
    .filter(source => !isInput(source))
    .flatMap(source => spoil(source, baseline))
  for (const { source, how, problems } of spoilt)
    for (const problem of problems) console.error(`${source} ${how}: ${problem}`)
  const good = spoilt.filter(({ problems }) => problems.length === 0).length
  const verdicts = spoilt.reduce((sum, { citing }) => sum + citing, 0)
  console.log(
    `spoilt evidence: ${good} of ${spoilt.length} edits left no verdict green (${verdicts} verdicts judged again)`,
  )
  return caught === refuted.length && good === spoilt.length ? 0 : 1
})
