import { expect, test } from 'vitest'
import { etcdAlarms, etcdHealth, etcdMembers, etcdMemberTable, etcdSnapshots, etcdStatus } from './etcd.ts'
import { value } from './parser.ts'
import { refused } from './table.ts'

test('members: IDs beyond 2^53 keep their digits, learners and unstarted members show', () => {
  const { header, members } = value(
    etcdMembers(
      '{"header":{"cluster_id":8308160542980821196,"member_id":14298965310570329103,"raft_term":5},"members":[{"ID":626222657428485296,"name":"etcd3","peerURLs":["https://h:2380"],"clientURLs":["https://h:2379"]},{"ID":7,"peerURLs":["p"],"isLearner":true}]}',
    ),
  )
  expect(header.member_id).toBe('14298965310570329103')
  expect(members).toEqual([
    {
      ID: '626222657428485296',
      name: 'etcd3',
      peerURLs: ['https://h:2380'],
      clientURLs: ['https://h:2379'],
      isLearner: false,
    },
    { ID: '7', peerURLs: ['p'], clientURLs: [], isLearner: true },
  ])
  refused(etcdMembers, '{}', /^header: /)
})

test('the member table', () => {
  const table = `+------------------+---------+-------+
|        ID        | STATUS  | NAME  |
+------------------+---------+-------+
|  8b0ca30665374b0 | started | etcd3 |
+------------------+---------+-------+
`
  expect(value(etcdMemberTable(table))).toEqual([{ id: '8b0ca30665374b0', status: 'started', name: 'etcd3' }])
  refused(etcdMemberTable, '', 'no table')
  refused(etcdMemberTable, 'x', 'line 1: not a table row: "x"')
})

test('status, health, alarms', () => {
  const [status] = value(
    etcdStatus(
      '[{"Endpoint":"127.0.0.1:2379","Status":{"header":{"cluster_id":8308160542980821196,"member_id":1,"revision":2024,"raft_term":5},"version":"3.5.35","dbSize":5,"leader":1,"raftIndex":2,"raftTerm":5,"raftAppliedIndex":2}}]',
    ),
  )
  expect(status?.Status.errors).toEqual([])
  expect(value(etcdHealth('[{"endpoint":"e","health":false,"error":"x","took":"1s"}]'))[0]?.health).toBe(false)
  refused(etcdHealth, '[]', /^value: /)
  expect(value(etcdAlarms(''))).toEqual([])
  expect(value(etcdAlarms('memberID:8630161756594109333 alarm:NOSPACE \n'))).toEqual([
    'memberID:8630161756594109333 alarm:NOSPACE',
  ])
  refused(etcdAlarms, 'x', 'line 1: not an alarm: "x"')
})

test('snapshots', () => {
  expect(
    value(etcdSnapshots('== /var/backups/a\n{"hash":1,"revision":0,"totalKey":8,"totalSize":2}\n== /var/backups/b\n')),
  ).toEqual([{ directory: '/var/backups/a', hash: 1, revision: 0, totalKey: 8 }])
  refused(etcdSnapshots, '{"hash":1}', 'line 1: a snapshot without its directory')
})
