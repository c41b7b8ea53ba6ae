import { z } from 'zod'
import { json } from './json.ts'
import { lines, match, ParseError, parser, value } from './parser.ts'

const id = z.union([z.string(), z.number()]).transform(String)

const member = z.object({
  ID: id,
  /** Absent until the member has started. */
  name: z.string().optional(),
  peerURLs: z.array(z.string()),
  clientURLs: z.array(z.string()).default([]),
  isLearner: z.boolean().default(false),
})

/** `etcdctl member list -w json`. */
export const etcdMembers = json(
  z.object({ header: z.object({ cluster_id: id, member_id: id }), members: z.array(member) }),
)

/** `etcdctl member list -w table`: the status column, which JSON lacks, by member name. */
export const etcdMemberTable = parser(text => {
  const rows = tableRows(text)
  return rows.map(row => ({ id: row['ID'] ?? '', status: row['STATUS'] ?? '', name: row['NAME'] ?? '' }))
})

const status = z.object({
  Endpoint: z.string(),
  Status: z.object({
    header: z.object({ cluster_id: id, member_id: id, revision: z.number(), raft_term: z.number() }),
    version: z.string(),
    dbSize: z.number(),
    leader: id,
    raftIndex: z.number(),
    raftTerm: z.number(),
    raftAppliedIndex: z.number(),
    errors: z.array(z.string()).default([]),
    isLearner: z.boolean().default(false),
  }),
})

/** `etcdctl endpoint status -w json`: one entry an endpoint. */
export const etcdStatus = json(z.array(status).min(1))

/** `etcdctl endpoint health --cluster -w json`. */
export const etcdHealth = json(
  z.array(z.object({ endpoint: z.string(), health: z.boolean(), error: z.string().optional() })).min(1),
)

/** `etcdctl alarm list`: no line where there is no alarm. */
export const etcdAlarms = parser(text =>
  lines(text).map(line => match(line, /^(memberID:\d+ alarm:[A-Z]+)\s*$/, 'an alarm')[0] ?? ''),
)

export interface EtcdSnapshot {
  readonly directory: string
  readonly hash: number
  readonly revision: number
  readonly totalKey: number
}

const snapshot = json(z.object({ hash: z.number(), revision: z.number(), totalKey: z.number() }))

/** `== <directory>` and below it what `etcdutl snapshot status -w json` says of its snapshot.db. */
export const etcdSnapshots = parser(text => {
  const snapshots: EtcdSnapshot[] = []
  let directory: string | undefined
  for (const line of lines(text)) {
    if (line.text.startsWith('== ')) directory = line.text.slice(3).trim()
    else if (directory === undefined) throw new ParseError('a snapshot without its directory', line.number)
    else snapshots.push({ directory, ...value(snapshot(line.text)) })
  }
  return snapshots
})

/** The rows of a table that etcdctl draws with + and |, by column title. */
function tableRows(text: string): Record<string, string>[] {
  const [head, ...rows] = lines(text)
    .filter(line => !/^\+[-+]*\+$/.test(line.text.trim()))
    .map(
      line =>
        match(line, /^\s*\|(.*)\|\s*$/, 'a table row')[0]
          ?.split('|')
          .map(cell => cell.trim()) ?? [],
    )
  if (head === undefined) throw new ParseError('no table')
  return rows.map(row => Object.fromEntries(head.map((title, index) => [title, row[index] ?? ''])))
}
