import { createHash } from 'node:crypto'
import { etcdMembers, plane, wholeCluster } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('etcd')

invariant('etcd-members', {
  title: 'The members are exactly the etcd hosts, all started, none a learner',
  on: etcdMembers,
  severity: 'blocker',
  because: 'A member that is gone but listed counts against the quorum; one that is missing is a host without a vote.',
  source: [seed('etcdctl member list'), kubespray('roles/etcd')],
  fix: remedy.etcd,
  judge: ({ cluster, node, check }) => {
    const expected = cluster.expectations.etcdMembers.map(host => {
      const address = cluster.mainAccessIp(host)
      return `${cluster.etcdMemberName(host)} https://${address}:2380 https://${address}:2379`
    })
    const { members } = node.etcdMembers
    check.sameSet(
      'members',
      members.map(
        ({ name, peerURLs, clientURLs }) => `${name ?? '(unstarted)'} ${peerURLs.join(',')} ${clientURLs.join(',')}`,
      ),
      expected,
    )
    check.none(
      'learners',
      members.filter(({ isLearner }) => isLearner).map(({ name }) => name),
    )
    check.none(
      'members that are not started',
      node.etcdMemberTable.filter(({ status }) => status !== 'started').map(({ name, status }) => `${name} ${status}`),
    )
  },
  refutedBy: {
    'a member of a removed host': {
      edit: edit =>
        edit.json('etcd-member-list', list => {
          list.members.push({
            ID: 7,
            name: 'etcd9',
            peerURLs: ['https://192.0.2.9:2380'],
            clientURLs: ['https://192.0.2.9:2379'],
          })
        }),
      also: ['etcd-members-agree'],
    },
    'a member has not started': edit =>
      edit.output('etcd-member-list-table', text => text.replace(' started ', ' unstarted ')),
    'a learner': edit =>
      edit.json('etcd-member-list', list => {
        list.members[0].isLearner = true
      }),
  },
})

invariant('etcd-members-agree', {
  title: 'Every member knows the same cluster and the same members',
  on: wholeCluster,
  severity: 'blocker',
  because: 'Members that disagree belong to two clusters.',
  source: [seed('etcdctl member list')],
  fix: remedy.etcd,
  judge: ({ cluster, check }) => {
    const views = cluster.etcdMembers.map(node => {
      const { header, members } = node.etcdMembers
      return {
        node,
        text: `cluster ${header.cluster_id}, members ${members
          .map(({ ID }) => ID)
          .sort()
          .join(' ')}`,
        own: header.member_id,
      }
    })
    for (const { node, text } of views) check.equal(`what ${node.name} knows`, text, views[0]?.text)
    check.equal('different members that answered', new Set(views.map(({ own }) => own)).size, views.length)
  },
  dependsOn: ['etcd-members'],
  refutedBy: {
    'one member is of another cluster': edit =>
      edit.json('etcd-member-list', list => {
        list.header.cluster_id = '1234567890123456789'
      }),
    'two hosts answer as one member': edit =>
      edit.json('etcd-member-list', list => {
        list.header.member_id = list.members.find(
          (member: { ID: string | number }) => String(member.ID) !== String(list.header.member_id),
        ).ID
      }),
  },
})

invariant('etcd-member-id', {
  title: 'Members still have the IDs of the first installation',
  on: etcdMembers,
  severity: 'advisory',
  because:
    'An ID is made of the peer URL and the cluster token: another one tells that the member was removed and added again, with data from its peers.',
  source: ['etcd server/etcdserver/api/membership/member.go (computeMemberId)', seed('etcdctl member list')],
  fix: 'Nothing to mend: note when and why the member was replaced.',
  dependsOn: ['etcd-members-agree', 'etcd-env-initial-cluster'],
  judge: ({ cluster, node, check }) => {
    const token = node.etcdEnv.get('ETCD_INITIAL_CLUSTER_TOKEN') ?? ''
    const url = `https://${cluster.mainAccessIp(node.name)}:2380`
    const digest = createHash('sha1').update(url).update(token).digest()
    check.equal('ID', BigInt(node.etcdMembers.header.member_id).toString(16), digest.readBigUInt64BE(0).toString(16))
  },
  refutedBy: {
    'the member was replaced': {
      edit: edit =>
        edit.json('etcd-member-list', list => {
          list.header.member_id = '1234567890123456789'
        }),
      also: ['etcd-status-agrees'],
    },
  },
})

invariant('etcd-status-agrees', {
  title: "The endpoint on the host's loopback is the host's own member",
  on: etcdMembers,
  severity: 'critical',
  because: 'A forwarded port that answers for another member makes every local check lie.',
  source: [seed('etcdctl endpoint status')],
  fix: remedy.etcd,
  judge: ({ cluster, node, check }) => {
    const [own] = node.etcdStatus
    const named = node.etcdMembers.members.find(({ name }) => name === cluster.etcdMemberName(node.name))
    check.equal('endpoints asked', node.etcdStatus.length, 1)
    check.equal('ID of the endpoint', own?.Status.header.member_id, named?.ID)
    check.equal("ID in the member list's header", node.etcdMembers.header.member_id, named?.ID)
  },
  dependsOn: ['etcd-members', 'inv-etcd-member-name', 'etcd-members-agree'],
  refutedBy: {
    'another member answers': edit =>
      edit.json('etcd-endpoint-status', list => {
        list[0].Status.header.member_id = '1234567890123456789'
      }),
  },
})

invariant('etcd-one-leader', {
  title: 'All members follow one leader, in one term',
  on: wholeCluster,
  severity: 'blocker',
  because: 'Without a leader there are no writes; members that name different ones are about to elect, or are split.',
  source: [seed('etcdctl endpoint status')],
  fix: remedy.investigate,
  judge: ({ cluster, check }) => {
    const views = cluster.etcdMembers.map(node => ({ name: node.name, status: node.etcdStatus[0]?.Status }))
    const leaders = views.filter(({ status }) => status !== undefined && status.leader === status.header.member_id)
    check.equal('members that lead', leaders.length, 1)
    check.sameSet(
      'leaders that members name',
      [...new Set(views.map(({ status }) => status?.leader ?? ''))],
      views.slice(0, 1).map(({ status }) => status?.leader ?? ''),
    )
    check.sameSet(
      'terms',
      [...new Set(views.map(({ status }) => String(status?.raftTerm)))],
      views.slice(0, 1).map(({ status }) => String(status?.raftTerm)),
    )
  },
  dependsOn: ['etcd-status-agrees'],
  refutedBy: {
    'a member names another leader': edit =>
      edit.json('etcd-endpoint-status', list => {
        list[0].Status.leader = '77'
      }),
    'a member is in another term': edit =>
      edit.json('etcd-endpoint-status', list => {
        list[0].Status.raftTerm = 99
      }),
  },
})

invariant('etcd-raft-progress', {
  title: 'No member falls behind',
  on: wholeCluster,
  severity: 'critical',
  because: 'A member that lags is no replacement when the leader is lost.',
  source: [seed('etcdctl endpoint status: RAFT INDEX may differ slightly')],
  fix: remedy.investigate,
  judge: ({ cluster, check }) => {
    const statuses = cluster.etcdMembers.map(node => node.etcdStatus[0]?.Status)
    const indexes = statuses.map(status => status?.raftIndex ?? 0)
    check.atMost(
      'raft entries between the first and the last member',
      Math.max(...indexes) - Math.min(...indexes),
      1000,
    )
    for (const [index, status] of statuses.entries()) {
      check.atMost(
        `entries that ${cluster.etcdMembers[index]?.name ?? ''} has not applied`,
        (status?.raftIndex ?? 0) - (status?.raftAppliedIndex ?? 0),
        100,
      )
    }
  },
  refutedBy: {
    'a member is far behind': edit =>
      edit.json('etcd-endpoint-status', list => {
        Object.assign(list[0].Status, { raftIndex: 5, raftAppliedIndex: 5 })
      }),
    'a member does not apply': edit =>
      edit.json('etcd-endpoint-status', list => {
        list[0].Status.raftAppliedIndex -= 500
      }),
  },
})

invariant('etcd-status-clean', {
  title: 'The member reports no error and no alarm',
  on: etcdMembers,
  severity: 'blocker',
  because: 'NOSPACE makes the cluster read-only; CORRUPT means that members differ.',
  source: [seed('etcdctl endpoint status: ERRORS'), issue(3053)],
  fix: 'Find the cause, compact and defragment (etcdctl.sh compact, defrag), then etcdctl.sh alarm disarm.',
  judge: ({ node, check }) => {
    check.none(
      'errors',
      node.etcdStatus.flatMap(({ Status }) => Status.errors),
    )
    check.none(
      'learners',
      node.etcdStatus.filter(({ Status }) => Status.isLearner).map(({ Endpoint }) => Endpoint),
    )
    check.none('alarms', node.etcdAlarms)
  },
  refutedBy: {
    'an error': edit =>
      edit.json('etcd-endpoint-status', list => {
        list[0].Status.errors = ['etcdserver: no leader']
      }),
    'an alarm': edit => edit.output('etcd-alarm-list', () => 'memberID:8630161756594109333 alarm:NOSPACE\n'),
  },
})

invariant('etcd-health', {
  title: 'From here every member is healthy',
  on: etcdMembers,
  severity: 'blocker',
  because: 'A member that one peer can not reach is lost to it.',
  source: [kubespray('roles/etcd/tasks/configure.yml')],
  fix: remedy.etcd,
  judge: ({ cluster, node, check }) => {
    check.sameSet(
      'healthy endpoints',
      node.etcdHealth.filter(({ health }) => health).map(({ endpoint }) => endpoint),
      cluster.etcdAccessAddresses,
    )
  },
  refutedBy: {
    'one is unhealthy': edit =>
      edit.json('etcd-endpoint-health', list => {
        Object.assign(list[0], { health: false, error: 'context deadline exceeded' })
      }),
    'one is missing': edit =>
      edit.json('etcd-endpoint-health', list => {
        list.pop()
      }),
  },
})

invariant('etcd-running-version', {
  title: 'The running member is of the version of the inventory',
  on: etcdMembers,
  severity: 'critical',
  because: 'The binary on disk may be new while the old one runs on.',
  source: [seed('etcdctl endpoint status: VERSION')],
  fix: remedy.etcd,
  judge: ({ node, want, check }) => check.equal('version', node.etcdStatus[0]?.Status.version, want.etcd_version),
  refutedBy: {
    'the old one runs on': edit =>
      edit.json('etcd-endpoint-status', list => {
        list[0].Status.version = '3.5.0'
      }),
  },
})

invariant('etcd-db-size', {
  title: 'The database is well below its quota, and of about the same size on all members',
  on: wholeCluster,
  severity: 'critical',
  because: 'At the quota etcd raises NOSPACE and the cluster becomes read-only.',
  source: [kubespray('roles/etcd_defaults/defaults/main.yml (etcd_quota_backend_bytes)'), issue(3053)],
  fix: 'Defragment one member after the other: etcdctl.sh defrag.',
  judge: ({ cluster, want, check }) => {
    const sizes = cluster.etcdMembers.map(node => node.etcdStatus[0]?.Status.dbSize ?? 0)
    check.atMost('bytes of the largest', Math.max(...sizes), want.etcd_quota_backend_bytes * 0.8)
    check.atMost('largest divided by smallest', Math.max(...sizes) / Math.min(...sizes), 2)
  },
  refutedBy: {
    'near the quota': edit => {
      for (const node of edit.recording.nodes.filter(name =>
        edit.recording.get(`nodes/${name}/commands/etcd-endpoint-status`),
      )) {
        edit.on(node).json('etcd-endpoint-status', list => {
          list[0].Status.dbSize = 2_000_000_000
        })
      }
    },
    'one is much larger': edit =>
      edit.json('etcd-endpoint-status', list => {
        list[0].Status.dbSize *= 3
      }),
  },
})

invariant('etcd-cluster-view', {
  title: 'Every member can ask every other for its status, and they agree on the leader',
  on: etcdMembers,
  severity: 'critical',
  because: 'What a member says of itself may differ from what its peers see.',
  source: [seed('etcdctl endpoint status')],
  fix: remedy.etcd,
  judge: ({ cluster, node, check }) => {
    const statuses = node.etcdClusterStatus
    check.sameSet(
      'endpoints that answered',
      statuses.map(({ Endpoint }) => Endpoint),
      cluster.etcdAccessAddresses,
    )
    check.equal('leaders that they name', new Set(statuses.map(({ Status }) => Status.leader)).size, 1)
    check.none(
      'errors',
      statuses.flatMap(({ Status }) => Status.errors),
    )
  },
  refutedBy: {
    'one did not answer': edit =>
      edit.json('etcd-endpoint-status-cluster', list => {
        list.pop()
      }),
    'two leaders': edit =>
      edit.json('etcd-endpoint-status-cluster', list => {
        list[0].Status.leader = '77'
      }),
  },
})
