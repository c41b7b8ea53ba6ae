import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { main, options, shippedRecording } from '../cli/command.ts'
import { catalogue } from '../invariant/catalogue.ts'
import { openRecording } from '../recording/open.ts'
import { saveRecording } from '../recording/write.ts'
import { withWorkers } from '../synthetic/workers.ts'
import { expectationsFor, recordedOverrides } from '../targets/recorded.ts'
import { judge } from '../verdict/judge.ts'

const usage = `npm run bench

Measures how long judging and reporting take on the shipped recording and on a synthetic one of 50 nodes made from it,
and prints both side by side: wall time, cost of one invariant on one node, peak memory, and their ratios.
`

interface Measured {
  readonly nodes: number
  readonly verdicts: number
  readonly open: number
  readonly judge: number
  readonly wall: number
  readonly memory: number
}

await main(usage, async () => {
  options(usage, {})
  const scratch = mkdtempSync(join(tmpdir(), 'conformance-bench-'))
  try {
    const small = await measure(shippedRecording, join(scratch, 'out-small'))
    const large = join(scratch, 'fifty')
    saveRecording(large, withWorkers(openRecording(shippedRecording), 46))
    const fifty = await measure(large, join(scratch, 'out-large'))
    print(small, fifty)
    return 0
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
})

/** In this process opening and judging, from cold caches; in a process of its own `npm test` with its HTML report. */
async function measure(recording: string, out: string): Promise<Measured> {
  const invariants = await catalogue()
  const began = performance.now()
  const opened = openRecording(recording)
  const ready = performance.now()
  const expectations = expectationsFor(opened, recordedOverrides(opened))
  const verdicts = judge(invariants, opened, expectations)
  const judged = performance.now()
  const run = spawnSync(
    '/usr/bin/env',
    ['sh', '-c', `exec npm test --silent -- --recording "$0" --out "$1"`, recording, out],
    { encoding: 'utf8' },
  )
  const wall = performance.now() - judged
  if (run.status !== 0)
    throw new Error(`npm test on ${recording} ended with ${run.status ?? 'no status'}:\n${run.stderr}`)
  return {
    nodes: expectations.machines.length,
    verdicts: verdicts.length,
    open: ready - began,
    judge: judged - ready,
    wall,
    memory: process.resourceUsage().maxRSS / 1024,
  }
}

function print(small: Measured, large: Measured): void {
  const rows: [string, (measured: Measured) => number, string][] = [
    ['nodes', ({ nodes }) => nodes, ''],
    ['verdicts', ({ verdicts }) => verdicts, ''],
    ['open and verify', ({ open }) => open, 'ms'],
    ['judge everything', ({ judge: time }) => time, 'ms'],
    ['one invariant on one node', ({ judge: time, verdicts }) => (1000 * time) / verdicts, 'µs'],
    ['npm test, HTML included', ({ wall }) => wall, 'ms'],
    ['peak memory of judging', ({ memory }) => memory, 'MiB'],
  ]
  console.log(`${''.padEnd(28)}${'shipped'.padStart(12)}${'synthetic'.padStart(12)}${'ratio'.padStart(9)}`)
  for (const [name, value, unit] of rows) {
    const cell = (number: number) => `${number.toFixed(0)} ${unit}`.trim().padStart(12)
    console.log(
      `${name.padEnd(28)}${cell(value(small))}${cell(value(large))}${(value(large) / value(small)).toFixed(1).padStart(9)}`,
    )
  }
}
