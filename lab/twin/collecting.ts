import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { collect, type Collected } from '../../helpers/collect/collect.ts'
import { textOf } from '../../helpers/recording/format.ts'
import { live, type LiveOptions } from '../../helpers/targets/live.ts'
import { INVENTORY } from '../../helpers/targets/recorded.ts'
import type { ApiTwin } from './api-server.ts'
import { ADMIN, type Twin } from './twin.ts'

/** Options by which the suite's own command line would read a twin. */
export function optionsFor(twin: Twin, api: ApiTwin, more: Partial<LiveOptions> = {}): LiveOptions {
  const { recording, folder } = twin
  const inventory = join(folder, 'inventory/mycluster')
  for (const source of recording.sources(INVENTORY))
    write(join(inventory, source.slice(INVENTORY.length)), textOf(recording.get(source)))
  const extraVars = join(folder, 'extra-vars.yaml')
  write(extraVars, textOf(recording.get('controller/extra-vars.yaml')))
  const kubeconfig = join(folder, 'kubeconfig')
  write(kubeconfig, api.kubeconfig())
  return {
    inventory: join(inventory, 'inventory.ini'),
    extraVars,
    overrides: join(recording.dir, 'overrides.yaml'),
    admin: ADMIN,
    kubespray: '/root/kubespray',
    kubeconfig,
    sshConfig: twin.sshConfig,
    ...more,
  }
}

/** Reads a twin into a folder, at the time at which it lives. */
export async function collectTwin(
  twin: Twin,
  options: LiveOptions,
  out: string,
  signal = new AbortController().signal,
): Promise<Collected & { progress: string[] }> {
  const progress: string[] = []
  const request = await live(options, signal)
  const { behind } = twin
  const collected = await collect(
    { ...request, out, now: () => Date.now() - behind, onProgress: line => progress.push(line) },
    signal,
  )
  return { ...collected, progress }
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
