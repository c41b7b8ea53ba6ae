import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { SimulatedCluster } from '../simulated/cluster.ts'
import type { Fault } from '../simulated/node-server.ts'
import { ApiTwin } from '../twin/api-server.ts'
import { ratio, table } from './table.ts'

/** Node collects garbage late where memory is plenty: this says how much is really needed. */
const HEAP = '--max-old-space-size=832'

interface Measured {
  readonly reached: number
  readonly verdicts: number
  readonly collect: number
  readonly judge: number
  readonly collectMemory: number
  readonly memory: number
}

/** Nodes that replay a recording at 20 ms: time and memory as they grow, and what broken nodes cost. */
export async function benchSimulated(sizes: readonly number[]): Promise<void> {
  const results: Measured[] = []
  for (const nodes of sizes) results.push(await measure(nodes, {}))
  table(
    `simulated nodes at 20 ms (one process plays them, another collects and judges, with ${HEAP})`,
    ['nodes', 'collect s', 'judge s', 'whole s', 'collect MiB', 'peak MiB', 'MiB/node'],
    results.map(({ reached, collect, judge, collectMemory, memory }) => [
      String(reached),
      ...[collect, judge, collect + judge, collectMemory, memory, memory / reached].map(number => number.toFixed(1)),
    ]),
  )
  const healthy = results[sizes.indexOf(100)] ?? (await measure(100, {}))
  const broken = await measure(100, { 'k8s-node4x10': 'silent', 'k8s-node4x20': 'stalls', 'k8s-node4x30': 'refuses' })
  table(
    '100 nodes, one of them silent, one stalling half way, one refusing the key',
    ['', 'healthy s', 'broken s', 'more s'],
    [['collect', healthy.collect.toFixed(1), broken.collect.toFixed(1), (broken.collect - healthy.collect).toFixed(1)]],
  )
  console.log(`  the connect time limit is 10 s: ${ratio(broken.collect - healthy.collect, 10, 1)}`)
}

async function measure(nodes: number, faults: Record<string, Fault>): Promise<Measured> {
  const cluster = await SimulatedCluster.start({ moreWorkers: nodes - 4, latency: 20, faults })
  const api = await ApiTwin.start(() => cluster.recording)
  try {
    const options = cluster.options(api)
    const settings = JSON.stringify({ options, out: join(cluster.folder, 'recording') })
    const main = join(import.meta.dirname, 'whole-run.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [HEAP, '--import', 'tsx', main, settings], {
      maxBuffer: 1 << 26,
    })
    return JSON.parse(stdout) as Measured
  } finally {
    await api.stop()
    await cluster.stop()
  }
}
