import { closeSync, openSync, writeSync } from 'node:fs'
import type { Report } from './records.ts'

const AT_ONCE = 500

/** Writes verdicts.json a few verdicts at a time: that of a large cluster is longer than what fits well in memory. */
export function writeVerdicts(path: string, report: Report): void {
  const { verdicts, ...head } = report
  const file = openSync(path, 'w')
  try {
    writeSync(file, `${JSON.stringify(head, null, 1).slice(0, -2)},\n "verdicts": [`)
    for (let from = 0; from < verdicts.length; from += AT_ONCE) {
      const lines = verdicts
        .slice(from, from + AT_ONCE)
        .map(verdict => `\n${JSON.stringify(verdict, null, 1).replace(/^/gm, '  ')}`)
      writeSync(file, `${from === 0 ? '' : ','}${lines.join(',')}`)
    }
    writeSync(file, '\n ]\n}\n')
  } finally {
    closeSync(file)
  }
}
