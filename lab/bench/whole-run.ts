import { rmSync } from 'node:fs'
import { collect } from '../../helpers/collect/collect.ts'
import { run } from '../../helpers/verdict/run.ts'
import { live, type LiveOptions } from '../../helpers/targets/live.ts'

/** One run in a process of its own, so that its memory is its own: options in argv[2] as JSON, what it took on standard output. */
const { options, out } = JSON.parse(process.argv[2] ?? '{}') as { options: LiveOptions; out: string }
const { signal } = new AbortController()
const began = performance.now()
const request = await live(options, signal)
const resolved = performance.now()
const { reached } = await collect({ ...request, out, onProgress: () => {} }, signal)
const collected = performance.now()
const collectMemory = process.resourceUsage().maxRSS / 1024
const report = await run({ recording: out })
const judged = performance.now()
rmSync(out, { recursive: true, force: true })
console.log(
  JSON.stringify({
    reached,
    verdicts: report.verdicts.length,
    resolve: (resolved - began) / 1000,
    collect: (collected - resolved) / 1000,
    judge: (judged - collected) / 1000,
    collectMemory,
    memory: process.resourceUsage().maxRSS / 1024,
  }),
)
