import { openRecording } from '../../helpers/recording/open.ts'
import { withWorkers } from '../../helpers/synthetic/workers.ts'
import { keyPair } from '../key-pair.ts'
import { type Fault, startNode } from './node-server.ts'

/** The process that plays the nodes of a recording: settings in argv[2] as JSON, the ports on standard output as JSON. */
export interface Settings {
  readonly recording: string
  /** Workers beyond those that were recorded, each a copy under its own name and address. */
  readonly moreWorkers: number
  readonly latency: number
  /** By node. */
  readonly faults: Readonly<Record<string, Fault>>
  /** The API server of every control plane. */
  readonly api?: { readonly port: number; readonly kubeconfig: string }
}

const { recording: folder, moreWorkers, latency, faults, api } = JSON.parse(process.argv[2] ?? '{}') as Settings
const recorded = openRecording(folder)
const recording = moreWorkers === 0 ? recorded : withWorkers(recorded, moreWorkers)
const hostKey = keyPair()
const ports: Record<string, number> = {}
for (const name of recording.nodes)
  ports[name] = await startNode({ recording, name, fault: faults[name], latency, hostKey: hostKey.private, api })
console.log(JSON.stringify({ ports, hostKey: hostKey.public }))
// It ends with whoever started it.
process.stdin.resume().on('end', () => process.exit())
