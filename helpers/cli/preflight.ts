import { preflight } from '../collect/preflight.ts'
import { catalogue } from '../invariant/catalogue.ts'
import { lostWith } from '../refute/lost.ts'
import { openRecording } from '../recording/open.ts'
import { EXIT, main, nothingElse, options, shippedRecording } from './command.ts'
import { liveKinds, liveUsage, resolveLive } from './live-options.ts'

const usage = `npm run preflight -- --inventory PATH [options]

Logs in to every machine and asks the API for one object of each kind, and says which invariants would be
indeterminate with the credentials given. Nothing is collected.

${liveUsage}
Exit status: 0 everything could be read, 2 something could not, 3 it could not start.
`

await main(usage, async () => {
  const { rest, ...given } = options(usage, liveKinds)
  nothingElse(rest, 'npm run preflight -- --help shows them.')
  const { signal } = new AbortController()
  const request = await resolveLive(given, signal)
  const { machines, api } = await preflight(request, signal)
  const lost = await lostWith(await catalogue(), openRecording(shippedRecording))
  const tell = (what: string, invariants: readonly string[]) => {
    console.log(`${what}\n  ${invariants.length} invariants would be indeterminate: ${invariants.join(', ')}\n`)
  }
  const { expectations } = request
  for (const [name, access] of machines) {
    const role = expectations.controlPlanes.includes(name) ? 'controlPlane' : 'worker'
    if (access === true) console.log(`${name}: read as root`)
    else if (access === false) tell(`${name}: not root: use --become, or log in as root`, lost.withoutRoot(role))
    else tell(`${name}: not reached: ${access}`, lost.withoutNode(role))
  }
  const refused = Object.entries(api)
  if (refused.length === 0) console.log('the API: everything can be read')
  for (const reason of new Set(Object.values(api))) {
    const sources = refused.filter(([, why]) => why === reason).map(([source]) => source)
    tell(`the API: ${reason}`, lost.without(sources))
  }
  const isWhole = refused.length === 0 && [...machines.values()].every(access => access === true)
  return isWhole ? EXIT.well : EXIT.indeterminate
})
