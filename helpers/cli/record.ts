import { openRecording } from '../recording/open.ts'
import { UserError } from '../recording/errors.ts'
import { EXIT, main, nothingElse, options } from './command.ts'
import { INTERRUPTED, liveKinds, liveUsage, recordLive } from './live-options.ts'

const usage = `npm run record -- --inventory PATH --out DIR [options]

Reads a running cluster into a recording, without judging it: for npm test -- --recording DIR, here or anywhere.

  --out DIR              the recording's folder; it must be new or empty

${liveUsage}
Exit status: 0 every machine was read, 2 some were not (the recording says why), 3 it could not start, 130 interrupted.
`

await main(usage, async () => {
  const { rest, out, ...given } = options(usage, { ...liveKinds, out: 'string' })
  nothingElse(rest, 'npm run record -- --help shows them.')
  if (out === undefined) throw new UserError('give the new folder with --out DIR.')
  const { complete, reached, unreached } = await recordLive(given, out, false)
  const { nodes, manifest } = openRecording(out)
  const lacking = Object.keys(manifest.missing ?? {}).length
  console.log(
    `${out}: ${complete ? '' : 'partial: interrupted; '}${reached} of ${nodes.length} machines read, ${Object.keys(manifest.digests).length} files${lacking === 0 ? '' : `, ${lacking} answers lack (manifest.json says why)`}`,
  )
  if (!complete) return INTERRUPTED
  return unreached.length === 0 ? EXIT.well : EXIT.indeterminate
})
