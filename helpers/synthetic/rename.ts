import { createHash } from 'node:crypto'
import { type Evidence, type Source, textOf } from '../recording/format.ts'
import { Recording } from '../recording/recording.ts'
import { reissueCertificates } from './certificates.ts'

/** Names and what they become: host names, addresses, networks, ports, a cluster's name. */
export type Renaming = Readonly<Record<string, string>>

/**
 * The same cluster under other names: every text and every name of a source is changed, certificates are issued again, and what
 * is computed from a name (nginx.conf's checksum, etcd's member IDs, the API servers' leases) is computed again.
 * @param only where it is given: sources for which it is false stay as they are, and all certificates do, so that evidence and inventory disagree
 */
export function renamed(recording: Recording, renaming: Renaming, only?: (source: Source) => boolean): Recording {
  const rename = renamer({ ...renaming, ...derivedNames(recording, renaming) })
  const evidence = new Map<Source, Evidence>()
  for (const source of recording.sources()) {
    const old = recording.get(source)
    if (old === undefined) continue
    if (only === undefined || only(source)) evidence.set(rename(source), mapTexts(old, rename))
    else evidence.set(source, old)
  }
  const { nodes, target } = recording.manifest
  const manifest = {
    ...recording.manifest,
    nodes: Object.fromEntries(
      Object.entries(nodes).map(([name, node]) => [only === undefined ? rename(name) : name, node]),
    ),
    target: `synthetic: ${target}, renamed`,
  }
  const copy = new Recording(recording.dir, manifest, evidence)
  return checksummed(only === undefined ? reissueCertificates(copy, rename) : copy, recording)
}

/** A function that puts new names in the place of old ones, longest first, and never within a longer number or name. */
export function renamer(renaming: Renaming): (text: string) => string {
  const names = Object.keys(renaming).sort((a, b) => b.length - a.length)
  if (names.length === 0) return text => text
  // An address or number is not part of a longer one; a name may be the end of a longer one (svc.cluster.local).
  const escaped = (name: string) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const alternatives = names.map(name =>
    /^[0-9]/.test(name) ? `(?<![0-9a-zA-Z.])${escaped(name)}` : `(?<![0-9a-zA-Z])${escaped(name)}`,
  )
  const pattern = new RegExp(`(?:${alternatives.join('|')})(?![0-9])`, 'g')
  return text => text.replace(pattern, name => renaming[name] ?? name)
}

/** What the evidence computes from host names and addresses, with what it becomes. */
function derivedNames(recording: Recording, renaming: Renaming): Renaming {
  const rename = renamer(renaming)
  const derived: Record<string, string> = {}
  for (const node of recording.nodes) {
    const url = /^ETCD_INITIAL_ADVERTISE_PEER_URLS=(.*)$/m.exec(
      textOf(recording.get(`nodes/${node}/files/etc/etcd.env`)),
    )?.[1]
    if (url === undefined) continue
    for (const base of [10, 16]) derived[memberId(url, base)] = memberId(rename(url), base)
    derived[leaseName(node)] = leaseName(rename(node))
  }
  return derived
}

/** Source: etcd server/etcdserver/api/membership/member.go. */
function memberId(peerUrl: string, base: number): string {
  return createHash('sha1').update(`${peerUrl}k8s_etcd`).digest().readBigUInt64BE(0).toString(base)
}

/** Source: Kubernetes pkg/controlplane/instance.go. */
function leaseName(hostname: string): string {
  const part = (text: string) => Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)])
  const bytes = createHash('sha256').update(part(hostname)).update(part('kube-apiserver')).digest().subarray(0, 16)
  const bits = [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const letters = (bits.match(/.{1,5}/g) ?? []).map(
    group => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(group.padEnd(5, '0'), 2)],
  )
  return `apiserver-${letters.join('')}`
}

/** Puts the checksums of the changed nginx.conf files in the place of the old ones. */
function checksummed(copy: Recording, old: Recording): Recording {
  const digest = (text: string) => createHash('sha1').update(text).digest('hex')
  const digests = (recording: Recording) =>
    recording
      .sources()
      .filter(source => source.endsWith('/files/etc/nginx/nginx.conf') && textOf(recording.get(source)) !== '')
      .map(source => digest(textOf(recording.get(source))))
  const before = digests(old)
  const after = digests(copy)
  const rename = renamer(Object.fromEntries(before.map((one, index) => [one, after[index] ?? one])))
  return mapAll(copy, rename)
}

/** A copy with every text changed. */
export function mapAll(recording: Recording, change: (text: string) => string): Recording {
  return recording.with(new Map(recording.sources().map(source => [source, mapTexts(recording.get(source), change)])))
}

function mapTexts(evidence: Evidence | undefined, change: (text: string) => string): Evidence {
  if (evidence === undefined) throw new Error('no such evidence')
  switch (evidence.kind) {
    case 'command':
      return {
        ...evidence,
        command: change(evidence.command),
        stdout: change(evidence.stdout),
        stderr: change(evidence.stderr),
      }
    case 'file':
      return {
        ...evidence,
        ...(evidence.content === undefined ? {} : { content: change(evidence.content) }),
        ...(evidence.linkTarget === undefined ? {} : { linkTarget: change(evidence.linkTarget) }),
      }
    case 'text':
      return { ...evidence, content: change(evidence.content) }
  }
}
