import { describe, expect, test } from 'vitest'
import { Expectations } from '../expectations/expectations.ts'
import { Inventory } from '../expectations/inventory/inventory.ts'
import { noOverrides } from '../expectations/overrides.ts'
import { release } from '../expectations/release.ts'
import type { CataloguedInvariant } from '../invariant/catalogue.ts'
import { Check, show } from '../invariant/check.ts'
import { allNodes, wholeCluster } from '../invariant/invariant.ts'
import { Recording } from '../recording/recording.ts'
import { countsOf, exitCodeOf } from '../report/records.ts'
import { note } from '../report/note.ts'
import { summary } from '../report/summary.ts'
import { terminal } from '../report/terminal.ts'
import { fold, judgeOne } from './judge.ts'
import { record } from './record.ts'
import { accept, readWaivers } from './waivers.ts'

const inventory = Inventory.read({
  sources: [
    {
      path: 'h.ini',
      text: '[kube_control_plane]\nn1 ip=10.0.0.1\n[etcd:children]\nkube_control_plane\n[kube_node]\nn2 ip=10.0.0.2\n',
    },
  ],
  varsFiles: [],
  extraVars: [],
})
const expectations = new Expectations(inventory, release('v2.29.1'), noOverrides)
const recording = new Recording(
  '',
  {
    format: 1,
    suite: '0',
    recordedAt: '2026-01-01T00:00:00Z',
    apiReadAt: '2026-01-01T00:00:00Z',
    target: 't',
    complete: true,
    nodes: { n1: {}, n2: {} },
    digests: {},
  },
  new Map([
    [
      'nodes/n1/commands/hostname',
      { kind: 'command' as const, command: 'hostname', exitCode: 0, seconds: 0, stdout: 'wrong-name\n', stderr: '' },
    ],
    [
      'nodes/n2/commands/hostname',
      {
        kind: 'command' as const,
        command: 'hostname',
        exitCode: 0,
        seconds: 5,
        timedOut: true,
        stdout: '',
        stderr: '',
      },
    ],
    [
      'nodes/n2/commands/uname',
      {
        kind: 'command' as const,
        command: 'uname',
        exitCode: 127,
        seconds: 0,
        stdout: '',
        stderr: 'uname: not found\n',
      },
    ],
    [
      'nodes/n2/commands/df',
      { kind: 'command' as const, command: 'df', exitCode: 0, seconds: 0, truncated: true, stdout: 'x', stderr: '' },
    ],
    ['nodes/n2/files/etc/hosts', { kind: 'file' as const, absent: 'no such file' }],
    ['nodes/n2/files/etc/fstab', { kind: 'file' as const, withheld: 'private key material' }],
  ]),
)

function invariant(
  id: string,
  judge: CataloguedInvariant['judge'],
  more: Partial<CataloguedInvariant> = {},
): CataloguedInvariant {
  return {
    id,
    plane: 'host',
    spec: 'specs/host/x.spec.ts',
    on: allNodes,
    title: 'It holds',
    severity: 'critical',
    because: 'It breaks.',
    source: ['Somewhere'],
    fix: 'Mend HOST.',
    refutedBy: {},
    judge,
    ...more,
  }
}
/** Reading a fact is all that these judgements do. */
const touch = (fact: unknown) => fact

const name = invariant('name', ({ cluster, node, check }) =>
  check.equal('hostname', node.hostname, cluster.nodeName(node.name)),
)

describe('a judgement', () => {
  test('fails with what is expected and found, and cites what it read', () => {
    const verdict = judgeOne(name, 'n1', recording, expectations)
    expect(verdict).toMatchObject({
      status: 'fail',
      findings: [{ what: 'hostname', expected: 'n1', found: 'wrong-name' }],
      citations: [{ path: 'nodes/n1/commands/hostname.stdout' }],
    })
    expect(record(verdict, recording)).toMatchObject({
      fix: 'Mend n1.',
      evidence: [{ path: 'nodes/n1/commands/hostname.stdout', line: 1 }],
    })
  })

  test.each<[string, CataloguedInvariant['judge'], string]>([
    [
      'a command that was ended',
      ({ node }) => touch(node.hostname),
      'hostname on n2 was ended at its time limit of 5 s',
    ],
    [
      'a command that failed',
      ({ node }) => touch(node.kernel),
      'uname on n2 ended with exit status 127: uname: not found',
    ],
    [
      'an output that was cut',
      ({ node }) => touch(node.diskUse),
      "the output of df on n2 was cut at the collector's limit",
    ],
    ['what was not recorded', ({ node }) => touch(node.swaps), 'proc-swaps was not recorded on n2'],
    ['a file that is not there', ({ node }) => touch(node.hosts), '/etc/hosts is not on n2: no such file'],
    [
      'a file that is withheld',
      ({ node }) => touch(node.fstab),
      '/etc/fstab on n2 was not collected: private key material',
    ],
    ['a comparison of nothing', () => {}, 'there was nothing to compare'],
    [
      'a shape that nobody foresaw',
      () => {
        throw new TypeError('x is undefined')
      },
      'the evidence has not the expected shape: x is undefined',
    ],
  ])('%s is indeterminate, never green', (_, judge, reason) => {
    expect(judgeOne(invariant('x', judge), 'n2', recording, expectations)).toMatchObject({
      status: 'indeterminate',
      reason,
    })
  })

  test('one difference found before the evidence ended is a failure', () => {
    const verdict = judgeOne(
      invariant('x', ({ node, check }) => {
        check.equal('a', 1, 2)
        touch(node.swaps)
      }),
      'n2',
      recording,
      expectations,
    )
    expect(verdict).toMatchObject({ status: 'fail' })
  })

  test('what does not apply says why', () => {
    expect(
      judgeOne(
        invariant('x', () => {}, { unless: () => 'because' }),
        'n1',
        recording,
        expectations,
      ),
    ).toMatchObject({ status: 'not applicable', reason: 'because' })
  })
})

test('the words of comparison', () => {
  const check = new Check()
  check.includes('missing some', ['a'], ['a', 'b'])
  check.includes('missing all', ['x'], ['a'])
  check.none('some', ['a'])
  check.atLeast('few', 1, 2)
  check.atMost('many', 3, 2)
  check.sameSet('sets', ['b', 'a'], ['a', 'c'])
  check.sameSet('same', ['b', 'a'], ['a', 'b'])
  expect(check.findings.map(({ what, expected, found }) => `${what}: ${found} / ${expected}`)).toEqual([
    'missing some: without b / a, b',
    'missing all: x / a',
    'some: a / none',
    'few: 1 / at least 2',
    'many: 3 / at most 2',
    'sets: a, b / a, c',
  ])
  expect(check.comparisons).toBe(7)
  expect([undefined, '', [], { a: 1 }, true].map(show)).toEqual(['not set', '(empty)', '(none)', '{"a":1}', 'true'])
})

test('a failure is folded into the one that explains it: on its node, of the cluster, or elsewhere', () => {
  const failing = (id: string, subject: string, dependsOn: readonly string[] = []) => ({
    ...judgeOne(
      invariant(id, ({ check }) => check.equal('a', 1, 2), { dependsOn }),
      'n1',
      recording,
      expectations,
    ),
    subject,
  })
  const folded = fold([
    failing('root', 'n1'),
    failing('a', 'n1', ['root']),
    failing('b', 'n2', ['root']),
    failing('c', 'cluster', ['other', 'root']),
    failing('d', 'n1', ['other']),
  ])
  expect(folded.map(({ impliedBy }) => impliedBy)).toEqual([undefined, 'root@n1', 'root@n1', 'root@n1', undefined])
})

describe('waivers and known gaps', () => {
  const ids = new Set(['name', 'gap'])
  const verdicts = [
    judgeOne(name, 'n1', recording, expectations),
    judgeOne(
      invariant('gap', ({ node }) => touch(node.swaps), { on: wholeCluster }),
      'cluster',
      recording,
      expectations,
    ),
  ]
  const read = (text: string) => readWaivers(text, 'w.yaml', ids)

  test('a waived failure keeps its findings; a known gap stays indeterminate', () => {
    const waivers = read('waivers:\n  - id: name\n    node: n1\n    reason: soon\n    expires: 2026-12-31\n')
    const { verdicts: accepted, notes } = accept(
      verdicts,
      waivers,
      { ...noOverrides, knownGaps: [{ id: 'gap', reason: 'no probe' }] },
      '2026-12-31',
    )
    expect(
      accepted.map(({ status, waiver, knownGap, findings }) => [status, waiver?.expires, knownGap, findings.length]),
    ).toEqual([
      ['waived', '2026-12-31', undefined, 1],
      ['indeterminate', undefined, 'no probe', 0],
    ])
    expect(notes).toEqual([])
    expect(exitCodeOf(accepted.map(verdict => record(verdict, recording)))).toBe(0)
  })

  test('expired and unused ones are told, and count for nothing', () => {
    const waivers = read(
      'waivers:\n  - {id: name, reason: a, expires: 2026-01-01}\n  - {id: gap, node: n1, reason: b, expires: 2027-01-01}\n',
    )
    const { verdicts: accepted, notes } = accept(
      verdicts,
      waivers,
      { ...noOverrides, file: 'o.yaml', knownGaps: [{ id: 'name', reason: 'x' }] },
      '2026-06-01',
    )
    expect(accepted.map(({ status }) => status)).toEqual(['fail', 'indeterminate'])
    expect(notes).toEqual([
      'The waiver of name expired on 2026-01-01: it no longer counts.',
      'The waiver of gap on n1 is not used: nothing fails. Remove it.',
      'The known gap name in o.yaml is none any more: remove it.',
    ])
  })

  test.each([
    ['waivers:\n  - {id: name, expires: 2026-01-01}', 'w.yaml: waiver 1: reason: say why.'],
    ['waivers:\n  - {id: name, reason: a}', 'w.yaml: waiver 1: expires: say until when, as YYYY-MM-DD.'],
    [
      'waivers:\n  - {id: name, reason: a, expires: soon}',
      'w.yaml: waiver 1: expires: soon is no date. Write YYYY-MM-DD.',
    ],
    [
      'waivers:\n  - {id: nam, reason: a, expires: 2026-01-01}',
      'w.yaml: waiver 1: unknown invariant nam. npm run list shows them all.',
    ],
    ['waiver: []', /^w\.yaml: holds no list "waivers"/],
  ])('%j is refused', (text, message) => expect(() => read(text)).toThrow(message))
})

describe('reports', () => {
  const records = [
    judgeOne(name, 'n1', recording, expectations),
    {
      ...judgeOne(
        invariant('after', ({ check }) => check.equal('a', 1, 2), { dependsOn: ['name'] }),
        'n1',
        recording,
        expectations,
      ),
      impliedBy: 'name@n1',
    },
    judgeOne(
      invariant('unknown', ({ node }) => touch(node.swaps)),
      'n2',
      recording,
      expectations,
    ),
    judgeOne(
      invariant('advice', ({ check }) => check.equal('a', 1, 2), { severity: 'advisory' }),
      'n2',
      recording,
      expectations,
    ),
    judgeOne(
      invariant('good', ({ check }) => check.equal('a', 1, 1)),
      'n2',
      recording,
      expectations,
    ),
  ].map(verdict => record(verdict, recording))
  const report = {
    ...{
      schema: 1 as const,
      suite: '0',
      recording: 'r',
      target: 't',
      recordedAt: '2026',
      judgedAt: '2026',
      complete: false,
      release: 'v2.29.1',
      topology: 'localhost nginx',
    },
    ...{
      nodes: ['n1', 'n2'],
      overrides: ['a = 1: why'],
      notes: ['a note'],
      counts: countsOf(records),
      exitCode: exitCodeOf(records),
      verdicts: records,
    },
  }

  test('counts and exit codes', () => {
    expect(report.counts).toEqual({
      pass: 1,
      fail: 2,
      advice: 1,
      waived: 0,
      'not applicable': 0,
      indeterminate: 1,
      'known gap': 0,
    })
    expect([exitCodeOf(records), exitCodeOf(records.slice(2)), exitCodeOf(records.slice(3))]).toEqual([1, 2, 0])
  })

  test('the terminal', () =>
    expect(terminal(report, false)).toMatchInlineSnapshot(`
      "Kubespray v2.29.1, localhost nginx, 2 nodes: r (t), recorded 2026, INCOMPLETE
      deliberately: a = 1: why

                                                 n1         n2
      host                                      0/2        1/2
        name                                      ✗           
        after                                     ↳           
        unknown                                              ?

      Failures

      FAIL name on n1  [critical]
        It holds
          hostname
            expected  n1
            found     wrong-name
        evidence    nodes/n1/commands/hostname.stdout:1
        why         It breaks.
        fix         Mend n1.
        documented  Somewhere

        ↳ after on n1 fails with it: a: 1

      Not enough evidence

      NO EVIDENCE unknown on n2  [critical]
        It holds
          proc-swaps was not recorded on n2
        evidence    nodes/n2/commands/proc-swaps
        why         It breaks.
        fix         Mend n2.
        documented  Somewhere

      Advice (documented risks, never gating)

      ADVICE advice on n2  [advisory]
        It holds
          a
            expected  2
            found     1
        why         It breaks.
        fix         Mend n2.
        documented  Somewhere

      Your lists

      a note

      The cluster does not conform. 1 pass, 2 fail, 1 advice, 1 indeterminate"
    `))
  test('colours change nothing but colours', () =>
    expect(terminal(report, true).replace(/\u001b\[\d+m/g, '')).toBe(terminal(report, false)))
  test('a note', () =>
    expect(note(records[0] as (typeof records)[number])).toMatchInlineSnapshot(`
    "FAIL name on n1  [critical]
      It holds
        hostname
          expected  n1
          found     wrong-name
      evidence    nodes/n1/commands/hostname.stdout:1
      why         It breaks.
      fix         Mend n1.
      documented  Somewhere"
  `))
  test('summary.md', () =>
    expect(summary(report)).toMatchInlineSnapshot(`
    "# ❌ The cluster does not conform

    Kubespray v2.29.1, localhost nginx, 2 nodes. Recording \`r\` of 2026.

    | pass | fail | advice | waived | not applicable | indeterminate | known gap |
    | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | 1 | 2 | 1 | 0 | 0 | 1 | 0 |

    | plane | pass | fail | no evidence |
    | --- | ---: | ---: | ---: |
    | inventory | 0 | 0 | 0 |
    | deployment | 0 | 0 | 0 |
    | host | 1 | 2 | 1 |
    | container-runtime | 0 | 0 | 0 |
    | etcd | 0 | 0 | 0 |
    | control-plane | 0 | 0 | 0 |
    | load-balancer | 0 | 0 | 0 |
    | nodes | 0 | 0 | 0 |
    | network | 0 | 0 | 0 |
    | addons | 0 | 0 | 0 |
    | workstation | 0 | 0 | 0 |

    ## Failures

    - **name** on n1 [critical]: It holds. \`nodes/n1/commands/hostname.stdout:1\`
      - hostname: expected \`n1\`, found \`wrong-name\`
      - Fix: Mend n1.
    - **after** on n1 [critical] (implied by name@n1): It holds.
      - a: expected \`2\`, found \`1\`
      - Fix: Mend n1.

    ## Not enough evidence

    - **unknown** on n2: proc-swaps was not recorded on n2

    ## Advice

    - **advice** on n2: It holds? Mend n2.

    ## Deliberate deviations

    - a = 1: why

    ## Your lists

    - a note
    "
  `))
})
