import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { resultListener } from './allure-result.ts'
import type { Report } from './records.ts'

/** Where vitest's reporters write beside a verdicts.json: raw Allure results and JUnit. */
export function reportPaths(verdicts: string) {
  const out = dirname(verdicts)
  return { results: process.env['CONFORMANCE_RESULTS'] ?? join(out, 'allure-results'), junit: join(out, 'junit.xml') }
}

/** Vitest's reporters for a run of the specs. */
export function conformanceReporters(verdicts: string): [string, Record<string, unknown>][] {
  const { results, junit } = reportPaths(verdicts)
  const report = existsSync(verdicts) ? (JSON.parse(readFileSync(verdicts, 'utf8')) as Report) : undefined
  return [
    [
      'junit',
      { outputFile: junit, suiteName: 'kubespray-conformance', addFileAttribute: true, includeConsoleOutput: false },
    ],
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
