import { etcdMembers, plane, workers } from '../../helpers/invariant/invariant.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('etcd')
const template = kubespray('roles/etcd/templates/etcd.env.j2')
const ENV = '/etc/etcd.env'
/** An edit that sets a variable of etcd.env. */
const set = (name: string, value: string) => (edit: Edit) =>
  edit.file(ENV, text => text.replace(new RegExp(`^${name}=.*$`, 'm'), `${name}=${value}`))

invariant('etcd-unit', {
  title: 'etcd runs as the service that Kubespray sets up',
  on: etcdMembers,
  severity: 'blocker',
  because: 'A member that does not come back by itself costs the quorum at the next failure.',
  source: [kubespray('roles/etcd/templates/etcd-host.service.j2'), seed('host vars')],
  fix: remedy.etcd,
  judge: ({ node, want, check }) => {
    const unit = node.unit('etcd')
    check.equal('ActiveState', unit.get('ActiveState'), 'active')
    check.equal('UnitFileState', unit.get('UnitFileState'), 'enabled')
    check.equal('Type', unit.get('Type'), 'notify')
    check.equal('Restart', unit.get('Restart'), 'always')
    check.equal('RestartUSec', unit.get('RestartUSec'), '10s')
    check.equal('LimitNOFILE', unit.get('LimitNOFILE'), '40000')
    check.equal('NRestarts', unit.get('NRestarts'), '0')
    check.that(
      'EnvironmentFiles',
      unit.get('EnvironmentFiles')?.startsWith('/etc/etcd.env ') === true,
      unit.get('EnvironmentFiles'),
      '/etc/etcd.env',
    )
    check.that(
      'ExecStart',
      unit.get('ExecStart')?.includes(`path=${want.bin_dir}/etcd `) === true,
      unit.get('ExecStart'),
      `${want.bin_dir}/etcd`,
    )
  },
  refutedBy: {
    'it failed': edit => edit.unit('etcd', 'ActiveState', 'failed'),
    'it is not enabled': edit => edit.unit('etcd', 'UnitFileState', 'disabled'),
    'it restarted': edit => edit.unit('etcd', 'NRestarts', '7'),
    'another environment file': edit =>
      edit.output('systemctl-show-etcd', text => text.replace('/etc/etcd.env', '/etc/default/etcd')),
    'another binary': edit =>
      edit.output('systemctl-show-etcd', text => text.replaceAll('/usr/local/bin/etcd', '/usr/bin/etcd')),
  },
})

invariant('etcd-not-elsewhere', {
  title: 'No etcd runs on a worker',
  on: workers,
  severity: 'normal',
  because: 'It is left from another role: a member that nobody backs up, or certificates with full rights.',
  source: [seed('local_release_dir')],
  fix: remedy.leftover,
  judge: ({ node, check }) => {
    check.that(
      'the unit etcd',
      node.unit('etcd').get('ActiveState') !== 'active',
      node.unit('etcd').get('ActiveState'),
      'not active',
    )
    check.none(
      'sockets on 2379 and 2380',
      node.listening
        .filter(({ localPort }) => localPort === 2379 || localPort === 2380)
        .map(({ localAddress, localPort }) => `${localAddress}:${localPort}`),
    )
    check.none(
      'etcd among the processes',
      node.processes.filter(({ name }) => name === 'etcd').map(({ pid }) => pid),
    )
  },
  refutedBy: {
    'the unit is active': edit => edit.unit('etcd', 'ActiveState', 'active'),
    'something listens on 2379': edit =>
      edit.output(
        'ss-listen',
        text => `${text}tcp LISTEN 0 4096 127.0.0.1:2379 0.0.0.0:* users:(("etcd",pid=1,fd=9))\n`,
      ),
  },
})

invariant('etcd-env-mode', {
  title: '/etc/etcd.env belongs to root and is closed to others',
  on: etcdMembers,
  severity: 'normal',
  because: 'It names the keys, and whoever writes to it decides how etcd starts.',
  source: [kubespray('roles/etcd/tasks/refresh_config.yml')],
  fix: remedy.etcd,
  judge: ({ node, check }) => {
    const { mode, owner } = node.fileStatus(ENV)
    check.equal('mode', mode, '0640')
    check.equal('owner', owner, 'root')
  },
  refutedBy: {
    'readable for all': edit => edit.status(ENV, { mode: '0644' }),
    'another owner': edit => edit.status(ENV, { owner: 'etcd' }),
  },
})

invariant('etcd-env-identity', {
  title: 'The member announces and listens on the addresses of its host',
  on: etcdMembers,
  severity: 'critical',
  because: 'Peers and API servers call what it announces; a wrong address is a member that nobody reaches.',
  source: [template],
  fix: remedy.etcd,
  judge: ({ cluster, node, check }) => {
    const { etcdEnv } = node
    const own = cluster.mainIp(node.name)
    const reached = cluster.mainAccessIp(node.name)
    check.equal('ETCD_NAME', etcdEnv.get('ETCD_NAME'), cluster.etcdMemberName(node.name))
    check.equal('ETCD_ADVERTISE_CLIENT_URLS', etcdEnv.get('ETCD_ADVERTISE_CLIENT_URLS'), `https://${reached}:2379`)
    check.equal(
      'ETCD_INITIAL_ADVERTISE_PEER_URLS',
      etcdEnv.get('ETCD_INITIAL_ADVERTISE_PEER_URLS'),
      `https://${reached}:2380`,
    )
    check.equal(
      'ETCD_LISTEN_CLIENT_URLS',
      etcdEnv.get('ETCD_LISTEN_CLIENT_URLS'),
      `https://${own}:2379,https://127.0.0.1:2379`,
    )
    check.equal('ETCD_LISTEN_PEER_URLS', etcdEnv.get('ETCD_LISTEN_PEER_URLS'), `https://${own}:2380`)
  },
  refutedBy: {
    'another name': set('ETCD_NAME', 'etcd9'),
    'another client URL': set('ETCD_ADVERTISE_CLIENT_URLS', 'https://192.0.2.1:2379'),
    'another peer URL': set('ETCD_INITIAL_ADVERTISE_PEER_URLS', 'https://192.0.2.1:2380'),
    'clients on every address': set('ETCD_LISTEN_CLIENT_URLS', 'https://0.0.0.0:2379'),
    'peers on every address': set('ETCD_LISTEN_PEER_URLS', 'https://0.0.0.0:2380'),
  },
})

invariant('etcd-env-initial-cluster', {
  title: 'ETCD_INITIAL_CLUSTER names the members of the inventory, and no other',
  on: etcdMembers,
  severity: 'critical',
  because: 'A member that is restored from it looks for peers that are gone, or does not know one that is there.',
  source: [template, issue(13261)],
  fix: remedy.etcd,
  judge: ({ cluster, node, check }) => {
    const expected = cluster.expectations.etcdMembers.map(
      host => `${cluster.etcdMemberName(host)}=https://${cluster.mainAccessIp(host)}:2380`,
    )
    check.sameSet('ETCD_INITIAL_CLUSTER', (node.etcdEnv.get('ETCD_INITIAL_CLUSTER') ?? '').split(','), expected)
    check.equal('ETCD_INITIAL_CLUSTER_TOKEN', node.etcdEnv.get('ETCD_INITIAL_CLUSTER_TOKEN'), 'k8s_etcd')
    check.sameSet(
      'members of the live cluster',
      node.etcdMembers.members.map(({ name, peerURLs }) => `${name ?? ''}=${peerURLs.join(' ')}`),
      expected,
    )
  },
  dependsOn: ['etcd-members'],
  refutedBy: {
    'a member is missing': edit => edit.file(ENV, text => text.replace(/^(ETCD_INITIAL_CLUSTER=[^,]+),[^,\n]+/m, '$1')),
    'another token': set('ETCD_INITIAL_CLUSTER_TOKEN', 'other'),
  },
})

invariant('etcd-env-state-existing', {
  title: 'ETCD_INITIAL_CLUSTER_STATE is existing',
  on: etcdMembers,
  severity: 'critical',
  because: 'With `new` a member that lost its data starts a cluster of its own: two etcds of one name.',
  source: [kubespray('roles/etcd/tasks/main.yml "Refresh etcd config again for idempotency"')],
  fix: remedy.etcd,
  judge: ({ node, check }) =>
    check.equal('ETCD_INITIAL_CLUSTER_STATE', node.etcdEnv.get('ETCD_INITIAL_CLUSTER_STATE'), 'existing'),
  refutedBy: { 'it is new': set('ETCD_INITIAL_CLUSTER_STATE', 'new') },
})

const tuning = {
  ETCD_HEARTBEAT_INTERVAL: 'etcd_heartbeat_interval',
  ETCD_ELECTION_TIMEOUT: 'etcd_election_timeout',
  ETCD_SNAPSHOT_COUNT: 'etcd_snapshot_count',
  ETCD_AUTO_COMPACTION_RETENTION: 'etcd_compaction_retention',
  ETCD_MAX_SNAPSHOTS: 'etcd_max_snapshots',
  ETCD_MAX_WALS: 'etcd_max_wals',
  ETCD_QUOTA_BACKEND_BYTES: 'etcd_quota_backend_bytes',
  ETCD_MAX_REQUEST_BYTES: 'etcd_max_request_bytes',
  ETCD_LOG_LEVEL: 'etcd_log_level',
  ETCD_METRICS: 'etcd_metrics',
} as const

invariant('etcd-env-tuning', {
  title: 'etcd is tuned as the variables say',
  on: etcdMembers,
  severity: 'normal',
  because:
    'Members with other timeouts elect leaders at odds with each other; another quota stops writes at another size.',
  source: [kubespray('roles/etcd_defaults/defaults/main.yml'), template],
  fix: remedy.etcd,
  judge: ({ node, want, check }) => {
    for (const [name, variable] of Object.entries(tuning))
      check.equal(name, node.etcdEnv.get(name), String(want[variable]))
  },
  refutedBy: Object.fromEntries(
    Object.keys(tuning).map(name => [`another ${name}`, set(name, name === 'ETCD_LOG_LEVEL' ? 'debug' : '77')]),
  ),
})

invariant('etcd-env-tls', {
  title: 'Clients and peers must show a certificate of the etcd CA',
  on: etcdMembers,
  severity: 'critical',
  because: 'Without it whoever reaches the port reads and writes every Secret.',
  source: [template],
  fix: remedy.etcd,
  judge: ({ node, want, check }) => {
    const { etcdEnv } = node
    const truth = (name: string) => etcdEnv.get(name)?.toLowerCase() === 'true'
    check.equal('ETCD_CLIENT_CERT_AUTH', truth('ETCD_CLIENT_CERT_AUTH'), want.etcd_secure_client)
    check.equal('ETCD_PEER_CLIENT_CERT_AUTH', truth('ETCD_PEER_CLIENT_CERT_AUTH'), want.etcd_peer_client_auth)
    for (const name of ['ETCD_TRUSTED_CA_FILE', 'ETCD_PEER_TRUSTED_CA_FILE'])
      check.equal(name, etcdEnv.get(name), `${want.etcd_cert_dir}/ca.pem`)
    for (const name of ['ETCD_CERT_FILE', 'ETCD_PEER_CERT_FILE'])
      check.equal(name, etcdEnv.get(name), `${want.etcd_cert_dir}/member-${node.name}.pem`)
    for (const name of ['ETCD_KEY_FILE', 'ETCD_PEER_KEY_FILE'])
      check.equal(name, etcdEnv.get(name), `${want.etcd_cert_dir}/member-${node.name}-key.pem`)
  },
  refutedBy: {
    'clients without certificate': set('ETCD_CLIENT_CERT_AUTH', 'false'),
    'peers without certificate': set('ETCD_PEER_CLIENT_CERT_AUTH', 'False'),
    'another CA': set('ETCD_TRUSTED_CA_FILE', '/etc/ssl/certs/ca.pem'),
    'another certificate': set('ETCD_CERT_FILE', '/etc/ssl/etcd/ssl/other.pem'),
    'another peer key': set('ETCD_PEER_KEY_FILE', '/etc/ssl/etcd/ssl/other-key.pem'),
  },
})

invariant('etcd-env-v2', {
  title: 'The v2 API is on exactly in the releases that write it',
  on: etcdMembers,
  severity: 'minor',
  because: 'etcd 3.6 does not start with it.',
  source: [template, issue(12629, 12634)],
  fix: remedy.etcd,
  judge: ({ cluster, node, check }) =>
    check.equal('ETCD_ENABLE_V2', node.etcdEnv.get('ETCD_ENABLE_V2'), cluster.release.etcdV2 ? 'true' : undefined),
  refutedBy: { 'it is off': set('ETCD_ENABLE_V2', 'false') },
})

invariant('etcd-corrupt-check', {
  title: "A member compares its data with its peers' before it serves",
  on: etcdMembers,
  severity: 'normal',
  because: 'etcd 3.5 had releases that lost consistency: without the check a corrupt member serves.',
  source: [kubespray('roles/etcd_defaults/defaults/main.yml (etcd_experimental_initial_corrupt_check)')],
  fix: remedy.etcd,
  judge: ({ node, want, check }) =>
    check.equal(
      'ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK',
      node.etcdEnv.get('ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK')?.toLowerCase() === 'true',
      want.etcd_experimental_initial_corrupt_check,
    ),
  refutedBy: { 'it is off': set('ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK', 'False') },
})

invariant('etcd-data-dir', {
  title: 'etcd keeps its data where the inventory says, closed to others',
  on: etcdMembers,
  severity: 'normal',
  because: 'Backups and recovery look there; the files hold every Secret.',
  source: [seed('host vars'), template],
  fix: remedy.etcd,
  judge: ({ node, want, check }) => {
    check.equal('ETCD_DATA_DIR', node.etcdEnv.get('ETCD_DATA_DIR'), want.etcd_data_dir)
    check.equal(
      `permissions of ${want.etcd_data_dir}`,
      node.etcdData.get(want.etcd_data_dir)?.permissions,
      'drwx------',
    )
    check.includes(`in ${want.etcd_data_dir}`, node.etcdData.names(want.etcd_data_dir), ['member'])
  },
  refutedBy: {
    'another folder': set('ETCD_DATA_DIR', '/data/etcd'),
    'open to others': edit => edit.output('etcd-data-dir', text => text.replace(/^drwx------/, 'drwxr-xr-x')),
    'no member folder': edit => edit.output('etcd-data-dir', text => text.replaceAll('/member', '/removed')),
  },
})

invariant('etcd-sockets', {
  title: 'etcd listens to clients on its address and loopback, to peers on its address only',
  on: etcdMembers,
  severity: 'normal',
  because:
    'On every address it is open to networks that it was never meant for; without loopback etcdctl.sh and the backups fail.',
  source: [template, seed('etcdctl endpoint status')],
  fix: remedy.etcd,
  judge: ({ cluster, node, check }) => {
    const own = cluster.mainIp(node.name)
    const sockets = node.listening.filter(({ localPort }) => localPort === 2379 || localPort === 2380)
    check.sameSet(
      'sockets',
      sockets.map(({ localAddress, localPort }) => `${localAddress}:${localPort}`),
      [`${own}:2379`, '127.0.0.1:2379', `${own}:2380`],
    )
    check.sameSet(
      'owners',
      [...new Set(sockets.flatMap(({ processes }) => processes.map(({ name }) => name)))],
      ['etcd'],
    )
  },
  refutedBy: {
    'clients on every address': edit => edit.output('ss-listen', text => text.replace(/127\.0\.0\.1:2379/, '*:2379')),
    'no peers': edit => edit.output('ss-listen', text => text.replace(/^.*:2380 .*\n/m, '')),
    'another process': edit => edit.output('ss-listen', text => text.replaceAll('"etcd"', '"socat"')),
  },
})

invariant('etcd-mtls-enforced', {
  title: 'etcd refuses clients without a certificate, and plain text',
  on: etcdMembers,
  severity: 'critical',
  because: 'The setting says that it does; this is whether it does.',
  source: [template],
  fix: remedy.etcd,
  correction: "curl's exit status differs between members (55, 56): any failure is a refusal.",
  judge: ({ node, check }) => {
    for (const id of ['etcd-no-client-cert', 'etcd-plaintext'] as const) {
      const { exitCode, body } = node.etcdRefusal(id)
      check.that(
        id === 'etcd-plaintext' ? 'a request in plain text' : 'a request without certificate',
        exitCode !== 0 && !body.includes('health'),
        `answered with ${body.trim()} (exit status ${exitCode})`,
        'refused',
      )
    }
  },
  refutedBy: {
    'an answer without certificate': edit => edit.output('etcd-no-client-cert', () => '{"health":"true"}rc=0\n'),
    'an answer in plain text': edit => edit.output('etcd-plaintext', () => '{"health":"true"}rc=0\n'),
  },
})

invariant('etcd-etcdctl-sh', {
  title: "etcdctl.sh works on the member, with the certificate of the host's administrator",
  on: etcdMembers,
  severity: 'normal',
  because: 'It is what the documented checks and the recovery use.',
  source: [kubespray('roles/etcdctl_etcdutl/templates/etcdctl.sh.j2'), seed('etcdctl.sh')],
  fix: remedy.etcd,
  judge: ({ node, want, check }) => {
    check.equal('permissions of etcdctl.sh', node.binaries.get('etcdctl.sh')?.permissions, '-rwxr-xr-x')
    check.equal('ETCDCTL_CERT', node.etcdEnv.get('ETCDCTL_CERT'), `${want.etcd_cert_dir}/admin-${node.name}.pem`)
    check.atLeast('members that it lists', node.etcdMembers.members.length, 1)
  },
  refutedBy: {
    'it is not executable': edit =>
      edit.output('bin-listing', text => text.replace(/^-rwxr-xr-x(.* etcdctl\.sh)$/m, '-rw-r--r--$1')),
    'another certificate': set('ETCDCTL_CERT', '/etc/ssl/etcd/ssl/other.pem'),
  },
})
