import { UserError } from '../recording/errors.ts'
import { importRaw } from '../recording/import-raw.ts'
import { openRecording } from '../recording/open.ts'
import { suiteVersion } from '../recording/suite.ts'
import { EXIT, main, options } from './command.ts'

const usage = `npm run import -- RAW OUT [--overrides FILE]

Brings a raw recording (a folder with nodes/*.json, api/ and controller/) into the suite's format.

  --overrides FILE  travels with it as overrides.yaml: deliberate deviations and known gaps
`

await main(usage, () => {
  const { rest, overrides } = options(usage, { overrides: 'string' })
  const [raw, out, more] = rest
  if (raw === undefined || out === undefined || more !== undefined)
    throw new UserError('give two folders: the raw recording, and a new one.')
  importRaw(raw, out, suiteVersion, overrides)
  const recording = openRecording(out)
  console.log(
    `${out}: ${recording.nodes.length} nodes, ${recording.sources().length} sources, recorded ${recording.manifest.recordedAt}`,
  )
  return EXIT.well
})
