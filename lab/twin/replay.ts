import { dirname, resolve } from 'node:path'
import { pack } from 'tar-stream'
import type { NodeProbes } from '../../helpers/evidence/probes.ts'
import { quoted } from '../../helpers/evidence/shell-words.ts'
import type { Entry } from '../../helpers/facts/listing.ts'
import { findListing } from '../../helpers/facts/listing.ts'
import { commandSource, type Evidence, fileSource, textOf } from '../../helpers/recording/format.ts'
import type { Recording } from '../../helpers/recording/recording.ts'

/** Probes that only read files: the twin has the files, so it runs them. All others need a live cluster, and replay. */
const READS_FILES: ReadonlySet<string> = new Set([
  'etc-kubernetes-listing',
  'etcd-ssl-listing',
  'etcd-data-dir',
  'var-backups',
  'cni-listing',
  'kubelet-pki-listing',
  'nginx-dir-listing',
  'nginx-conf-sha1',
  'pki-link',
  'sysctl-file-path',
  'hostname',
])

export const LISTINGS: readonly string[] = [
  ...['etc-kubernetes-listing', 'etcd-ssl-listing', 'etcd-data-dir', 'var-backups', 'cni-listing'],
  ...['kubelet-pki-listing', 'nginx-dir-listing'],
]

/** Where a node's files lie, which are removed before another state of it is laid down. */
const ROOTS = ['kubernetes', 'ssl/etcd', 'cni', 'nginx', 'containerd', 'etcd.env', 'crictl.yaml'].map(
  name => `/etc/${name}`,
)
const OTHER_ROOTS = [
  '/var/lib/kubelet',
  '/var/lib/etcd',
  '/var/backups',
  '/opt/cni',
  '/run/flannel',
  '/root/.kube',
  '/twin/replay',
]

/** Removes what an earlier state of the node left. */
export const clearing = `rm -rf ${[...ROOTS, ...OTHER_ROOTS].join(' ')}`

/** Sets owners, modes and times after the files were laid down. */
export const settling = 'sh /twin/replay/settle'

/**
 * A recorded node as a tar archive of its file system, with the recorded answers of what needs a live cluster.
 * @param behind seconds that its clock is behind the real one, for it to live at the time of the recording
 */
export async function nodeArchive(
  recording: Recording,
  node: string,
  probes: NodeProbes,
  behind: number,
): Promise<Buffer> {
  const files = new Map<string, string>()
  const links = new Map<string, string>()
  const settle: string[] = []
  for (const source of recording.sources(`nodes/${node}/files/`)) {
    const path = source.slice(fileSource(node, '').length)
    const evidence = recording.get(source)
    if (evidence?.kind !== 'file' || evidence.absent !== undefined || path.startsWith('/proc/')) continue
    const target = evidence.linkTarget === undefined ? path : resolve(dirname(path), evidence.linkTarget)
    if (target !== path) links.set(path, evidence.linkTarget ?? '')
    // What a link leads to may be recorded on its own.
    if (target !== path && recording.get(fileSource(node, target)) !== undefined) continue
    files.set(target, evidence.content ?? '')
    const { mode = '0644', owner = 'root', group = 'root', mtime = 0 } = evidence
    settle.push(`set_ '${target}' ${owner}:${group} ${mode} ${mtime}`)
  }
  const answers = replayed(probes, behind, id => recording.get(commandSource(node, id)))
  const listed = LISTINGS.flatMap(id => listing(recording.get(commandSource(node, id))))
  const link = recording.get(commandSource(node, 'pki-link'))
  if (textOf(link) !== '')
    links.set(
      probes.commands
        .find(({ id }) => id === 'pki-link')
        ?.command.split(' ')
        .at(-1) ?? '',
      textOf(link).trim(),
    )
  const script = [
    'set_() { chown -h $2 "$1"; chmod $3 "$1"; touch -h -d @$4 "$1"; }',
    ...[...links].map(([path, target]) => `mkdir -p '${dirname(path)}'; ln -sfn '${target}' '${path}'`),
    ...settle,
    ...listed.map(made),
    // Children first: making one changes the time of its folder.
    ...listed.toReversed().map(({ path, mtime }) => (mtime === undefined ? '' : `touch -h -d @${mtime} '${path}'`)),
    '',
  ].join('\n')
  return archive(new Map([...files, ...answers, ['/twin/replay/settle', script]]))
}

/** The controller as an archive: its files and the recorded answers of its commands. */
export async function controllerArchive(
  recording: Recording,
  probes: NodeProbes & { names: ReadonlyMap<string, string> },
): Promise<Buffer> {
  const evidence = (name: string) => recording.get(`controller/${name}`)
  const files = new Map(
    probes.files.flatMap(({ path }) => {
      const found = evidence(probes.names.get(path) ?? '')
      return found === undefined ? [] : [[path.replace(/^~/, '/root'), textOf(found)] as const]
    }),
  )
  const answers = replayed(probes, 0, id =>
    id === 'kubespray-version' ? evidence('kubespray-version.txt') : evidence(id),
  )
  const settle = probes.files.map(({ path }) => path.replace(/^~/, '/root')).filter(path => !files.has(path))
  return archive(new Map([...files, ...answers, ['/twin/replay/settle', `rm -f ${settle.join(' ')}\n`]]))
}

/** What `timeout` looks up: a shell script that maps a command's text to the file with its recorded answer. */
function replayed(
  probes: NodeProbes,
  behind: number,
  recorded: (id: string) => Evidence | undefined,
): Map<string, string> {
  const files = new Map<string, string>()
  const cases = probes.commands
    .filter(({ id }) => !READS_FILES.has(id))
    .map(({ id, command }, index) => {
      const pattern = `  ${quoted(command)})`
      if (id === 'date') return `${pattern} /usr/bin/date -u -d '-${behind} seconds' +%s.%N; exit ;;`
      const evidence = recorded(id)
      const answer = evidence === undefined ? 'none' : `replay/${index}`
      if (evidence !== undefined) {
        files.set(`/twin/${answer}.stdout`, textOf(evidence))
        files.set(`/twin/${answer}.stderr`, evidence.kind === 'command' ? evidence.stderr : '')
      }
      const status = evidence?.kind === 'command' ? (evidence.exitCode ?? 1) : 0
      return `${pattern} answer=${answer} status=${status} ;;`
    })
  files.set('/twin/answers', ['case $6 in', ...cases, 'esac', ''].join('\n'))
  return files
}

function listing(evidence: Evidence | undefined): readonly Entry[] {
  const parsed = findListing(textOf(evidence))
  return parsed.ok ? parsed.value.entries : []
}

function made({ path, permissions, owner, group, size, mtime = 0, linkTarget }: Entry): string {
  const kind = permissions[0]
  if (kind === 'l') return `ln -sfn '${linkTarget ?? ''}' '${path}'`
  const make = kind === 'd' ? `mkdir -p '${path}'` : `[ -e '${path}' ] || truncate -s ${size} '${path}'`
  return `${make}; set_ '${path}' ${owner}:${group} ${octal(permissions)} ${mtime}`
}

/** `-rw-r-----` as 640. */
function octal(permissions: string): string {
  const bits = permissions.slice(1, 10).replace(/[^-]/g, '1').replaceAll('-', '0')
  return Number.parseInt(bits, 2).toString(8)
}

async function archive(files: ReadonlyMap<string, string>): Promise<Buffer> {
  const tar = pack()
  for (const [path, content] of files) tar.entry({ name: `.${path}`, mode: 0o644 }, content)
  tar.finalize()
  const parts: Buffer[] = []
  for await (const part of tar) parts.push(part as Buffer)
  return Buffer.concat(parts)
}
