import { rmSync } from 'node:fs'
import { collect } from '../../helpers/collect/collect.ts'
import { live, type LiveOptions } from '../../helpers/targets/live.ts'
import { run } from '../../helpers/verdict/run.ts'
import { withoutKubectl } from '../simulated/cluster.ts'

/** One run in a process of its own, so that its memory is its own: options in argv[2] as JSON, what it took on standard output. */
const { options, out } = JSON.parse(process.argv[2] ?? '{}') as { options: LiveOptions; out: string }

/** As the command does: what collecting needed is forgotten when judging begins. */
async function collectAll(): Promise<number> {
  const { signal } = new AbortController()
  const request = await live(options, signal)
  const controller = withoutKubectl(request.controller)
  const { reached } = await collect({ ...request, controller, out, onProgress: () => {} }, signal)
  return reached
}

const began = performance.now()
const reached = await collectAll()
const collected = performance.now()
const collectMemory = process.resourceUsage().maxRSS / 1024
const { verdicts } = await run({ recording: out })
const judged = performance.now()
rmSync(out, { recursive: true, force: true })
console.log(
  JSON.stringify({
    reached,
    verdicts: verdicts.length,
    collect: (collected - began) / 1000,
    judge: (judged - collected) / 1000,
    collectMemory,
    memory: process.resourceUsage().maxRSS / 1024,
  }),
)
