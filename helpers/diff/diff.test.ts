import { expect, test } from 'vitest'
import { openRecording } from '../recording/open.ts'
import type { VerdictRecord } from '../report/records.ts'
import { run } from '../verdict/run.ts'
import { compare, type Judged } from './diff.ts'
import { told } from './text.ts'

const today = '2026-11-23'
const judged = async (dir: string): Promise<Judged> => ({
  report: await run({ recording: dir, today }),
  recording: openRecording(dir),
})
const healthy = await judged('recordings/case1-remediated')
const stock = await judged('recordings/case1-stock')

/** The same run with some verdicts changed, or taken out. */
function changed({ report, recording }: Judged, change: (verdict: VerdictRecord) => VerdictRecord | undefined): Judged {
  return { report: { ...report, verdicts: report.verdicts.flatMap(verdict => change(verdict) ?? []) }, recording }
}

test('two recordings of one state of a cluster differ in no verdict', () => {
  expect(compare(healthy, healthy)).toEqual([])
  expect(told([], healthy.report, healthy.report)).toContain('No verdict differs.')
})

test('what the remedy changed, minutes later, is all that differs, with the line that did it', () => {
  const changes = compare(stock, healthy)
  expect(changes.map(({ kind, key }) => `${kind}: ${key}`)).toEqual([
    'healed: cri-rlimit-vs-nginx@k8s-node4',
    'healed: lb-log-clean@k8s-node4',
    'healed: lb-effective-rlimit@k8s-node4',
  ])
  expect(changes[0]?.evidence).toEqual([
    {
      path: 'nodes/k8s-node4/files/etc/nginx/nginx.conf',
      lines: ['-worker_rlimit_nofile 130048;', '+worker_rlimit_nofile 16384;'],
    },
  ])
  expect(changes[1]?.evidence[0]?.lines.at(-1)).toMatch(/^… and \d+ more lines$/)
  expect(compare(healthy, stock).map(({ kind }) => kind)).toEqual(['new failure', 'new failure', 'new failure'])
})

test('evidence lost and gained, nodes that only one has, expectations that moved', () => {
  const lost = changed(healthy, verdict =>
    verdict.id === 'kl-env' ? { ...verdict, status: 'indeterminate', reason: 'kubelet.env was not recorded' } : verdict,
  )
  const kinds = (a: Judged, b: Judged) => [...new Set(compare(a, b).map(({ kind }) => kind))]
  expect([kinds(healthy, lost), kinds(lost, healthy)]).toEqual([['evidence lost'], ['evidence gained']])
  expect(told(compare(healthy, lost), healthy.report, lost.report)).toContain('kl-env@k8s-node1: pass → indeterminate')
  const without = changed(healthy, verdict => (verdict.subject === 'k8s-node4' ? undefined : verdict))
  expect([kinds(healthy, without), kinds(without, healthy), kinds(without, stock)]).toEqual([
    ['incomparable'],
    ['incomparable'],
    ['incomparable', 'new failure'],
  ])
  expect([kinds(stock, stock)]).toEqual([['still failing']])
  const moved = changed(healthy, verdict =>
    verdict.id === 'var-proxy-mode'
      ? { ...verdict, status: 'fail', variables: [{ name: 'kube_proxy_mode', value: 'ipvs', origin: 'x' }] }
      : verdict,
  )
  expect(compare(healthy, moved)[0]?.expectations).toEqual(['kube_proxy_mode: iptables → ipvs'])
})
