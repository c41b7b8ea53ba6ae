import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { resultListener } from './allure-result.ts'
import type { Report } from './records.ts'

/** Vitest's reporters for a run of the specs: JUnit beside verdicts.json, and Allure's raw results where a folder is given for them. */
export function conformanceReporters(verdicts: string): [string, Record<string, unknown>][] {
  const results = process.env['CONFORMANCE_RESULTS']
  const junit: [string, Record<string, unknown>] = [
    'junit',
    {
      outputFile: join(dirname(verdicts), 'junit.xml'),
      suiteName: 'kubespray-conformance',
      addFileAttribute: true,
      includeConsoleOutput: false,
    },
  ]
  if (results === undefined) return [junit]
  const report = existsSync(verdicts) ? (JSON.parse(readFileSync(verdicts, 'utf8')) as Report) : undefined
  return [
    junit,
    [
      'allure-vitest/reporter',
      {
        resultsDir: results,
        reportMatchers: false,
        ...(report === undefined ? {} : { listeners: [resultListener(report, results)] }),
      },
    ],
  ]
}
