import { catalogue } from '../invariant/catalogue.ts'
import { UserError } from '../recording/errors.ts'
import { closest } from '../verdict/run.ts'
import { EXIT, main, options } from './command.ts'

const usage = `npm run explain -- ID

Tells all that the suite knows of one invariant: what must hold, why, how to fix it, where it is documented,
what it depends on, and by which edits the self-test proves that it can fail.
`

await main(usage, async () => {
  const { rest } = options(usage, {})
  const [id, more] = rest
  if (id === undefined || more !== undefined) throw new UserError('give one id. npm run list shows them all.')
  const invariants = await catalogue()
  const invariant = invariants.find(one => one.id === id)
  if (invariant === undefined) {
    throw new UserError(
      `${id}: unknown invariant${closest(
        id,
        invariants.map(one => one.id),
      )}. npm run list shows them all.`,
    )
  }
  const { plane, severity, on, title, because, fix, source, spec, dependsOn = [], correction, refutedBy } = invariant
  console.log(
    [
      `${id}: ${title}`,
      '',
      `plane       ${plane}`,
      `severity    ${severity}${severity === 'advisory' ? ' (never gates)' : ''}`,
      `judged on   ${on.label}`,
      `why         ${because}`,
      `fix         ${fix}`,
      `documented  ${source.join('\n            ')}`,
      ...(correction === undefined ? [] : [`correction  ${correction}`]),
      ...(dependsOn.length === 0 ? [] : [`depends on  ${dependsOn.join(', ')}`]),
      `refuted by  ${Object.keys(refutedBy).join('\n            ')}`,
      `spec        ${spec}`,
    ].join('\n'),
  )
  return EXIT.well
})
