import { controlPlanes, etcdMembers, plane, wholeCluster } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'
import type { NodeFacts } from '../../helpers/evidence/node-facts.ts'

const invariant = plane('etcd')
const handler = kubespray('roles/etcd/handlers/backup.yml')
const NAME = /^etcd-\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d$/

/** Names of the backup folders. */
const backupsOf = (node: NodeFacts, prefix: string) => node.backups.names(prefix).filter(name => NAME.test(name))

invariant('etcd-backup-exists', {
  title: 'The member has a backup',
  on: etcdMembers,
  severity: 'critical',
  because: 'Without one a lost quorum is a lost cluster.',
  source: [seed('etcd backup'), handler],
  fix: 'Run etcdctl.sh snapshot save on a member; set up a schedule.',
  judge: ({ node, want, check }) =>
    check.atLeast(
      `folders etcd-YYYY-MM-DD_HH:MM:SS in ${want.etcd_backup_prefix}`,
      backupsOf(node, want.etcd_backup_prefix).length,
      1,
    ),
  refutedBy: {
    'there is none': {
      edit: edit => edit.output('var-backups', text => `${text.split('\n')[0]}\n`),
      also: ['etcd-backup-content', 'etcd-backup-age'],
    },
  },
})

invariant('etcd-backup-content', {
  title: "Every backup holds a snapshot that etcd can read, and the member's files",
  on: etcdMembers,
  severity: 'critical',
  because: 'A folder is no backup: the snapshot in it must restore.',
  source: [seed('etcd backup'), handler],
  fix: 'Remove the broken backup and take a new one: etcdctl.sh snapshot save.',
  dependsOn: ['etcd-backup-exists'],
  judge: ({ cluster, node, want, check }) => {
    const prefix = want.etcd_backup_prefix
    for (const name of backupsOf(node, prefix)) {
      const dir = `${prefix}/${name}`
      check.atLeast(`bytes of ${name}/snapshot.db`, node.backups.get(`${dir}/snapshot.db`)?.size ?? 0, 1)
      check.that(
        `etcdutl snapshot status of ${name}`,
        node.etcdSnapshots.some(({ directory }) => directory === dir),
        'no answer',
        'a revision and a hash',
      )
      if (cluster.release.etcdV2) {
        check.atLeast(`bytes of ${name}/member/snap/db`, node.backups.get(`${dir}/member/snap/db`)?.size ?? 0, 1)
        check.atLeast(
          `files in ${name}/member/wal`,
          node.backups.names(`${dir}/member/wal`).filter(file => file.endsWith('.wal')).length,
          1,
        )
      }
    }
  },
  refutedBy: {
    'the snapshot is empty': edit =>
      edit.output('var-backups', text => text.replace(/ \d+ (\S+ \S+snapshot\.db)$/m, ' 0 $1')),
    'the snapshot is missing': edit => edit.output('var-backups', text => text.replace(/^.*snapshot\.db\n/m, '')),
    'the write-ahead log is missing': edit => edit.output('var-backups', text => text.replace(/^.*\.wal\n/m, '')),
    'the snapshot is unreadable': {
      edit: edit => edit.output('etcd-snapshot-status', text => `${text.split('\n')[0]}\n`),
      also: ['etcd-backup-same-source'],
    },
  },
})

invariant('etcd-backup-same-source', {
  title: "The members' first backups are of one moment and one source",
  on: wholeCluster,
  severity: 'normal',
  because:
    'All members ask the first endpoint: when that one is down there is no backup anywhere, however many folders there are.',
  source: [handler],
  fix: "Take backups from each member's own endpoint.",
  judge: ({ cluster, check }) => {
    const hashes = cluster.etcdMembers.map(node => node.etcdSnapshots[0]?.hash)
    check.that(
      'hashes of the oldest snapshots',
      new Set(hashes).size === 1 && hashes[0] !== undefined,
      hashes,
      'the same on all members',
    )
  },
  dependsOn: ['etcd-backup-content', 'etcd-backup-exists'],
  refutedBy: {
    'another snapshot on one member': edit =>
      edit.output('etcd-snapshot-status', text => text.replace(/"hash":\d+/, '"hash":1')),
  },
})

invariant('etcd-backup-not-empty', {
  title: 'At least one backup holds Kubernetes data',
  on: wholeCluster,
  severity: 'advisory',
  because:
    'Kubespray takes its backup before kubeadm init: the only one of a fresh cluster has revision 0 and restores nothing.',
  source: [handler, seed('etcd backup: the claim that it is a backup of the cluster')],
  fix: 'Take a backup now: etcdctl.sh snapshot save, and set up a schedule (Kubespray has none).',
  judge: ({ cluster, check }) =>
    check.atLeast(
      'highest revision of any snapshot',
      Math.max(0, ...cluster.etcdMembers.flatMap(node => node.etcdSnapshots.map(({ revision }) => revision))),
      1,
    ),
  suppliedBy: edit => edit.output('etcd-snapshot-status', text => text.replace('"revision":0', '"revision":2024')),
  refutedBy: {
    'revision 0': edit => edit.output('etcd-snapshot-status', text => text.replace(/"revision":\d+/, '"revision":0')),
  },
})

invariant('etcd-backup-retention', {
  title: 'Backups are pruned, or take little room',
  on: etcdMembers,
  severity: 'normal',
  because: 'By default none is ever removed (-1): they fill the root file system.',
  source: [kubespray('roles/etcd_defaults/defaults/main.yml (etcd_backup_retention_count)'), issue(6621)],
  fix: remedy.pruneBackups,
  judge: ({ node, want, check }) => {
    const backups = backupsOf(node, want.etcd_backup_prefix)
    if (want.etcd_backup_retention_count >= 0)
      check.atMost('backups kept', backups.length, want.etcd_backup_retention_count)
    const bytes = node.backups.entries
      .filter(({ permissions }) => permissions.startsWith('-'))
      .reduce((sum, { size }) => sum + size, 0)
    const disk =
      node.diskUse.find(({ mountPoint }) => want.etcd_backup_prefix.startsWith(mountPoint) && mountPoint !== '/') ??
      node.diskUse[0]
    check.atMost('percent of the file system', (100 * bytes) / (disk?.size ?? 1), 20)
  },
  refutedBy: {
    'a backup of 200 GB': edit =>
      edit.output('var-backups', text => text.replace(/ \d+ (\S+ \S+\.wal)$/m, ' 200000000000 $1')),
  },
})

invariant('etcd-backup-age', {
  title: 'The newest backup is younger than a week',
  on: etcdMembers,
  severity: 'advisory',
  because:
    'Kubespray backs up only when etcd restarts: without a schedule of your own the newest backup is as old as the last change.',
  source: [issue(9468, 11194), handler],
  fix: 'Set up a schedule: etcdctl.sh snapshot save from a systemd timer or cron.',
  dependsOn: ['etcd-backup-exists'],
  judge: ({ cluster, node, want, check }) => {
    const prefix = want.etcd_backup_prefix
    const newest = Math.max(
      0,
      ...backupsOf(node, prefix).map(name => node.backups.get(`${prefix}/${name}`)?.mtime ?? 0),
    )
    check.atMost('days since the newest backup', Math.floor((cluster.recordedAt / 1000 - newest) / 86400), 7)
  },
  refutedBy: {
    'an old backup': edit =>
      edit.output('var-backups', text => text.replace(/ \d+\.\d+ (\S+\/etcd-[^/\n]+)$/m, ' 1700000000.0 $1')),
  },
})

invariant('etcd-kubeadm-tmp', {
  title: "kubeadm's own backups do not pile up",
  on: controlPlanes,
  severity: 'minor',
  because: 'Every upgrade leaves kubeadm-backup-* in /etc/kubernetes/tmp, and nothing removes them.',
  source: [issue(13412)],
  fix: 'Remove old folders below /etc/kubernetes/tmp.',
  judge: ({ node, want, check }) => {
    check.atLeast(`files listed in ${want.kube_config_dir}`, node.etcKubernetes.entries.length, 1)
    check.atMost(
      `folders in ${want.kube_config_dir}/tmp`,
      node.etcKubernetes.names(`${want.kube_config_dir}/tmp`).length,
      5,
    )
  },
  refutedBy: {
    'ten of them': edit =>
      edit.output(
        'etc-kubernetes-listing',
        text =>
          text +
          Array.from(
            { length: 10 },
            (_, n) => `drwx------ root root 4096 1795388053.0 /etc/kubernetes/tmp/kubeadm-backup-etcd-${n} -> \n`,
          ).join(''),
      ),
  },
})
