import { catalogue } from '../invariant/catalogue.ts'
import { EXIT, main, options } from './command.ts'

const usage = `npm run list -- [--json]

Lists every invariant: id, severity, which nodes it is about, and what must hold.

  --json  as JSON, with sources, fixes and refutations
`

await main(usage, async () => {
  const { json } = options(usage, { json: 'boolean' })
  const invariants = await catalogue()
  if (json) {
    const plain = invariants.map(
      ({ id, plane, severity, on, title, because, fix, source, spec, dependsOn, correction, refutedBy }) => ({
        ...{ id, plane, severity, on: on.label, title, because, fix, source, spec, dependsOn, correction },
        refutedBy: Object.keys(refutedBy),
      }),
    )
    console.log(JSON.stringify(plain, null, 2))
    return EXIT.well
  }
  let plane = ''
  for (const invariant of invariants) {
    if (invariant.plane !== plane) console.log(`\n${(plane = invariant.plane)}`)
    console.log(
      `  ${invariant.id.padEnd(32)} ${invariant.severity.padEnd(9)} ${invariant.on.label.padEnd(14)} ${invariant.title}`,
    )
  }
  console.log(`\n${invariants.length} invariants. npm run explain -- ID tells all of one.`)
  return EXIT.well
})
