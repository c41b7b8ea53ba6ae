import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { shippedRecording } from '../cli/command.ts'
import { run } from '../verdict/run.ts'

declare module 'vitest' {
  interface ProvidedContext {
    verdictsFile: string
  }
}

/** Gives the specs the verdicts that they tell: those of `npm test`, or of the shipped recording where vitest is started by itself. */
export default async function setup({ provide }: TestProject): Promise<void> {
  const given = process.env['CONFORMANCE_VERDICTS']
  const file = given ?? join('reports', 'verdicts.json')
  if (given === undefined) {
    mkdirSync('reports', { recursive: true })
    writeFileSync(file, JSON.stringify(await run({ recording: shippedRecording })))
  }
  provide('verdictsFile', file)
}
