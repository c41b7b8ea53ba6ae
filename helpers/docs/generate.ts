import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { main, options, shippedRecording } from '../cli/command.ts'
import { value } from '../facts/parser.ts'
import { yaml } from '../facts/yaml.ts'
import { catalogue } from '../invariant/catalogue.ts'
import { UserError } from '../recording/errors.ts'
import { reportSchema } from '../report/records.ts'
import { run } from '../verdict/run.ts'
import { claimsPage, type Claim } from './claims-page.ts'
import { invariantsPage, type LeftOut } from './invariants-page.ts'

const usage = `npm run docs -- [--check]

Writes the pages of docs/ that are generated: the invariants, the seed document's claims, the schema of verdicts.json.

  --check  write nothing; exit with 1 where a page is stale
`

const claims = yaml(
  z.array(
    z.object({
      id: z.string(),
      lines: z.string(),
      claim: z.string(),
      invariants: z.array(z.string()),
      evidence: z.string(),
      note: z.string().default(''),
    }),
  ),
)
const leftOut = yaml(z.array(z.object({ id: z.string(), reason: z.string() })))

await main(usage, async () => {
  const { check } = options(usage, { check: 'boolean' })
  const invariants = await catalogue()
  const report = await run({ recording: shippedRecording, today: '2026-01-01' })
  const left: readonly LeftOut[] = value(leftOut(readFileSync('docs/left-out.yaml', 'utf8')))
  const seed: readonly Claim[] = value(claims(readFileSync('docs/seed-claims.yaml', 'utf8')))
  const ids = new Set([...invariants.map(({ id }) => id), ...left.map(({ id }) => id)])
  for (const { id, invariants: cited } of seed) {
    const unknown = cited.find(one => !ids.has(one))
    if (unknown !== undefined)
      throw new UserError(
        `docs/seed-claims.yaml: ${id} names ${unknown}, which is neither an invariant nor in docs/left-out.yaml.`,
      )
  }
  const pages = {
    'docs/invariants.md': invariantsPage(invariants, left),
    'docs/claims.md': claimsPage(seed, invariants, report),
    'docs/verdicts.schema.json': `${JSON.stringify(z.toJSONSchema(reportSchema), null, 2)}\n`,
  }
  const stale = Object.entries(pages).filter(([path, text]) => !existsSync(path) || readFileSync(path, 'utf8') !== text)
  if (!check) for (const [path, text] of stale) writeFileSync(path, text)
  console.log(
    stale.length === 0
      ? 'docs are fresh'
      : `${check ? 'stale' : 'written'}: ${stale.map(([path]) => path).join(', ')}${check ? '. Run npm run docs.' : ''}`,
  )
  return check && stale.length > 0 ? 1 : 0
})
