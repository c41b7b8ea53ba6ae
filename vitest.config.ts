import { defineConfig } from 'vitest/config'
import { conformanceReporters } from './helpers/report/reporters.ts'

// `npm test` judges first and sets this to the verdicts that the specs are to tell (helpers/cli/test.ts).
const verdicts = process.env['CONFORMANCE_VERDICTS']

export default defineConfig({
  test: {
    maxWorkers: '100%',
    ...(verdicts === undefined ? {} : { reporters: conformanceReporters(verdicts) }),
    coverage: {
      provider: 'v8',
      include: ['helpers/facts/**'],
      reporter: ['text', 'json-summary'],
      thresholds: { perFile: true, lines: 95 },
    },
    projects: [
      { test: { name: 'unit', include: ['helpers/**/*.test.ts'], testTimeout: 30_000 } },
      // Real sshd and a real TLS server, in containers: what needs a Docker daemon is skipped by name where none answers.
      { test: { name: 'live', include: ['lab/**/*.test.ts'], testTimeout: 120_000, hookTimeout: 300_000 } },
      {
        test: {
          name: 'conformance',
          include: ['specs/**/*.spec.ts'],
          globalSetup: ['helpers/report/verdicts.setup.ts'],
          setupFiles: ['helpers/report/tell.setup.ts'],
          pool: 'threads',
          isolate: false,
        },
      },
    ],
  },
})
