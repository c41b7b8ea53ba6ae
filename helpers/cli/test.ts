import { accessSync, constants, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../recording/errors.ts'
import { writeHtml, writeJunit } from '../report/html.ts'
import { summary } from '../report/summary.ts'
import { terminal } from '../report/terminal.ts'
import { writeVerdicts } from '../report/write-verdicts.ts'
import { prepare, run } from '../verdict/run.ts'
import { main, nothingElse, options, shippedRecording } from './command.ts'
import { INTERRUPTED, liveKinds, liveOnly, liveUsage, recordLive } from './live-options.ts'

const usage = `npm test -- [options]

Judges a Kubespray cluster against every documented invariant, tells what is wrong and how to fix it, and leaves
an HTML report, JUnit, verdicts.json and summary.md. With --inventory it reads the running cluster first and
leaves the recording beside the report. Without options it judges the healthy recording that ships with the
suite (${shippedRecording}).

  --recording DIR   judge this recording instead of a running cluster
  --inventory PATH  the Ansible inventory of the cluster (INI, YAML, a folder, or the output of
                    ansible-inventory --list); with --recording: judge by it instead of the recorded one
  --only NAME       only the invariants of this id, plane or severity (may be given again)
  --node NAME       only this node (may be given again)
  --waivers FILE    failures that you accept for a while: id, reason, expires, and node for one node only
  --overrides FILE  expectations that deliberately differ, and evidence that can not be had (default: the
                    recording's own overrides.yaml)
  --out DIR         where the reports go (default: reports)
  --report KIND     html (default), junit: without the HTML page, or minimal: verdicts.json and summary.md only
  --help            this text

${liveUsage}
Exit status: 0 the cluster conforms, 1 it does not, 2 there is not enough evidence to say, 3 the suite could
not start (a wrong option, an unreadable inventory or recording), 130 interrupted by Ctrl-C.
`

await main(usage, async () => {
  const given = options(usage, {
    ...liveKinds,
    recording: 'string',
    only: 'strings',
    node: 'strings',
    waivers: 'string',
    out: 'string',
    report: 'string',
  })
  const { inventory, only, node, waivers, overrides, out = 'reports', report: kind = 'html', rest } = given
  nothingElse(rest, 'npm test -- --help shows them; mind the -- before options.')
  if (!['html', 'junit', 'minimal'].includes(kind))
    throw new UserError(`--report ${kind}: give html, junit or minimal.`)
  writable(out)
  const isLive = given.recording === undefined && (inventory !== undefined || liveOnly(given).length > 0)
  if (!isLive && liveOnly(given).length > 0)
    throw new UserError(`--${liveOnly(given)[0] ?? ''}: only a running cluster is read with it; leave out --recording.`)
  const recording = isLive ? join(out, 'recording') : (given.recording ?? shippedRecording)
  if (isLive) {
    // A mistake in the command line is told before the cluster is read.
    await prepare({ only, waivers })
    const { complete } = await recordLive(given, recording, true)
    if (!complete) {
      console.error(
        `interrupted: ${recording} holds what was read until then. npm test -- --recording ${recording} judges it.`,
      )
      return INTERRUPTED
    }
  }
  const report = await run({
    recording,
    inventory: isLive ? undefined : inventory,
    only,
    nodes: node,
    waivers,
    overrides,
  })
  const verdicts = join(out, 'verdicts.json')
  writeVerdicts(verdicts, report)
  writeFileSync(join(out, 'summary.md'), summary(report))
  console.log(terminal(report, process.stdout.isTTY && process.env['NO_COLOR'] === undefined))
  if (kind === 'html') {
    console.error('writing the HTML report …')
    const { html, junit } = await writeHtml(report, verdicts, out)
    console.log(`\nHTML ${html}   JUnit ${junit}   ${verdicts}   ${join(out, 'summary.md')}`)
  } else {
    const junit = kind === 'junit' ? `JUnit ${await writeJunit(report, verdicts, out)}   ` : ''
    console.log(`\n${junit}${verdicts}   ${join(out, 'summary.md')}`)
  }
  if (isLive) console.log(`recording: ${recording}`)
  else if (given.recording === undefined) {
    console.log(
      `\nThis was the healthy recording that ships with the suite. To judge a cluster of yours: npm test -- --inventory PATH (README, "Your own cluster").`,
    )
  }
  return report.exitCode
})

/** @throws UserError where reports can not be written */
function writable(out: string): void {
  try {
    mkdirSync(out, { recursive: true })
    accessSync(out, constants.W_OK)
    writeFileSync(join(out, '.writable'), '')
    rmSync(join(out, '.writable'))
  } catch (error) {
    throw new UserError(
      `--out ${out}: can not be written (${(error as NodeJS.ErrnoException).code ?? ''}). Give a folder that you may write to.`,
    )
  }
}
