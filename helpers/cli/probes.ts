import { probedNodes } from '../collect/probed-nodes.ts'
import { clusterRole, sudoers } from '../docs/grants.ts'
import { apiProbes } from '../evidence/api-probes.ts'
import { probesOf } from '../evidence/probes.ts'
import { openRecording } from '../recording/open.ts'
import { UserError } from '../recording/errors.ts'
import { expectationsFor, recordedOverrides } from '../targets/recorded.ts'
import { EXIT, main, nothingElse, options, shippedRecording } from './command.ts'

const usage = `npm run probes -- [--recording DIR] [--node NAME] [--sudoers USER] [--cluster-role]

Prints everything that is read of a running cluster: the commands that run on its nodes, the files, the paths of the API.

  --recording DIR  with the names, addresses and paths of this recording (default: ${shippedRecording})
  --node NAME      of this node (default: the first control plane, and the first worker)
  --sudoers USER   the sudoers lines that suffice for USER to collect everything
  --cluster-role   the ClusterRole that suffices to read the API
`

await main(usage, async () => {
  const given = options(usage, { recording: 'string', node: 'string', sudoers: 'string', 'cluster-role': 'boolean' })
  nothingElse(given.rest, 'npm run probes -- --help shows them.')
  if (given.sudoers !== undefined) process.stdout.write(sudoers(given.sudoers))
  if (given['cluster-role'] === true) process.stdout.write(clusterRole())
  if (given.sudoers !== undefined || given['cluster-role'] === true) return EXIT.well
  const recording = openRecording(given.recording ?? shippedRecording)
  const expectations = expectationsFor(recording, recordedOverrides(recording))
  const nodes = given.node === undefined ? [expectations.controlPlanes[0], expectations.workers[0]] : [given.node]
  const probed = await probedNodes(expectations)
  for (const name of nodes.filter(node => node !== undefined)) {
    const node = probed.get(name)
    if (node === undefined)
      throw new UserError(`--node ${name}: no such host. There are ${[...probed.keys()].join(', ')}.`)
    const { commands, files } = probesOf(node)
    console.log(`\n${name}: commands (# as root, with their time limits), then files\n`)
    for (const { id, command, limit, root } of commands)
      console.log(`${root ? '#' : '$'} ${id.padEnd(30)} ${String(limit).padStart(3)} s  ${command}`)
    console.log('')
    for (const { path, keep, root } of files) console.log(`${root ? '#' : '$'} ${keep.padEnd(8)} ${path}`)
  }
  console.log('\nthe API: GET only\n')
  for (const { name, path } of apiProbes) console.log(`  ${name.padEnd(26)} ${path}`)
  return EXIT.well
})
