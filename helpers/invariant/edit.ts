import { parse, stringify } from 'yaml'
import {
  commandSource,
  type Evidence,
  type FileEvidence,
  fileSource,
  type Source,
  textOf,
} from '../recording/format.ts'
import type { Recording } from '../recording/recording.ts'

/** Objects of the API are edited as plain JSON. */
export type Json = any // eslint-disable-line @typescript-eslint/no-explicit-any

/** Edits a recording in memory, to refute an invariant: the subject's node unless another is named. Nothing touches the disk. */
export class Edit {
  /** The node that is edited; the first recorded one where the cluster is judged. */
  readonly node: string
  readonly recording: Recording
  readonly changes: Map<Source, Evidence | undefined>

  constructor(recording: Recording, node: string, changes: Map<Source, Evidence | undefined> = new Map()) {
    this.recording = recording
    this.node = node
    this.changes = changes
  }

  /** The same edit, on another node. */
  on(node: string): Edit {
    return new Edit(this.recording, node, this.changes)
  }

  /** The recorded nodes but this one. */
  get others(): string[] {
    return this.recording.nodes.filter(name => name !== this.node)
  }

  /** The files of the node that were recorded with content, by the beginning of their paths. */
  files(prefix: string): string[] {
    const root = `nodes/${this.node}/files`
    return this.recording.sources(`${root}${prefix}`).flatMap(source => {
      const evidence = this.recording.get(source)
      return evidence?.kind === 'file' && evidence.content !== undefined ? [source.slice(root.length)] : []
    })
  }

  /** Changes the content of the one file whose path is this, or ends so where it begins with `…`. */
  file(path: string, change: (content: string) => string): void {
    this.#edit(this.#fileSource(path), evidence =>
      evidence.kind === 'file' ? { ...evidence, content: change(evidence.content ?? '') } : evidence,
    )
  }

  /** The recorded content of a file of the node, to build an edit on. */
  content(path: string): string {
    const evidence = this.recording.get(this.#fileSource(path))
    return evidence?.kind === 'file' ? (evidence.content ?? '') : ''
  }

  /** A recorded text, file or command's output, before any edit. */
  recordedText(source: Source): string {
    return textOf(this.recording.get(source))
  }

  /** The recorded Nodes with their addresses. */
  get hosts(): { readonly name: string; readonly address: string; readonly controlPlane: boolean }[] {
    const { items } = JSON.parse(this.recordedText('api/nodes.json')) as { items: Json[] }
    return items.map(({ metadata, status }) => ({
      name: metadata.name as string,
      address: status.addresses[0].address as string,
      controlPlane: 'node-role.kubernetes.io/control-plane' in metadata.labels,
    }))
  }

  get controlPlanes() {
    return this.hosts.filter(({ controlPlane }) => controlPlane)
  }

  status(path: string, status: Partial<Pick<FileEvidence, 'absent' | 'mode' | 'owner' | 'group' | 'mtime'>>): void {
    this.#edit(this.#fileSource(path), evidence => (evidence.kind === 'file' ? { ...evidence, ...status } : evidence))
  }

  /** Changes what a command printed, and how it ended where that is given. */
  output(id: string, change: (stdout: string) => string, exitCode?: number): void {
    this.#edit(commandSource(this.node, id), evidence =>
      evidence.kind === 'command'
        ? { ...evidence, stdout: change(evidence.stdout), exitCode: exitCode ?? evidence.exitCode }
        : evidence,
    )
  }

  /** Changes the JSON that a command printed. */
  json(id: string, change: (value: Json) => void): void {
    this.output(id, text => changed(text, change))
  }

  /** Gives a property of a systemd unit another value. */
  unit(name: string, property: string, value: string): void {
    this.output(`systemctl-show-${name}`, text =>
      text.replace(new RegExp(`^${property}=.*$`, 'm'), `${property}=${value}`),
    )
  }

  /** Changes what a command printed to standard error, and how it ended where that is given. */
  errors(id: string, change: (stderr: string) => string, exitCode?: number): void {
    this.#edit(commandSource(this.node, id), evidence =>
      evidence.kind === 'command'
        ? { ...evidence, stderr: change(evidence.stderr), exitCode: exitCode ?? evidence.exitCode }
        : evidence,
    )
  }

  /** Adds a command that was not recorded. */
  addCommand(id: string, stdout: string, exitCode = 0, stderr = ''): void {
    this.changes.set(commandSource(this.node, id), {
      kind: 'command',
      command: id,
      exitCode,
      seconds: 0,
      stdout,
      stderr,
    })
  }

  /** Adds a text of the controller's or the API's side that was not recorded. */
  addText(source: Source, content: string): void {
    this.changes.set(source, { kind: 'text', content })
  }

  /** Changes a text of the controller's or the API's side. */
  text(source: Source, change: (content: string) => string): void {
    this.#edit(source, evidence =>
      evidence.kind === 'text' ? { ...evidence, content: change(evidence.content) } : evidence,
    )
  }

  /** Changes the items of a list that the API returned. */
  api(name: string, change: (items: Json[]) => Json[] | undefined): void {
    this.text(`api/${name}.json`, text =>
      changed(text, value => {
        value.items = change(value.items as Json[]) ?? (value.items as Json[])
      }),
    )
  }

  /** Changes one object of a list that the API returned, by name. */
  object(list: string, name: string | ((item: Json) => boolean), change: (object: Json) => void): void {
    this.api(list, items => {
      const found = items.find(item => (typeof name === 'string' ? item.metadata.name === name : name(item)))
      if (found === undefined) throw new Error(`api/${list}.json has no ${String(name)}`)
      change(found)
      return undefined
    })
  }

  /** Changes a file that is embedded in a ConfigMap. */
  configMap(name: string, key: string, change: (content: string) => string): void {
    this.object('configmaps', name, map => {
      map.data[key] = change(map.data[key] as string)
    })
  }

  /** Sets variables as `ansible-playbook -e` would, above all others; undefined takes one out. */
  vars(values: Readonly<Record<string, unknown>>): void {
    this.text('controller/extra-vars.yaml', text => {
      const vars = { ...(parse(text) as Record<string, unknown>), ...values }
      return stringify(Object.fromEntries(Object.entries(vars).filter(([, value]) => value !== undefined)))
    })
  }

  #fileSource(path: string): Source {
    if (!path.startsWith('…')) return fileSource(this.node, path)
    const found = this.recording.sources(`nodes/${this.node}/files/`).filter(source => source.endsWith(path.slice(1)))
    if (found.length !== 1) throw new Error(`${found.length} files of ${this.node} end with ${path.slice(1)}`)
    return found[0] ?? ''
  }

  #edit(source: Source, change: (evidence: Evidence) => Evidence): void {
    const evidence = this.changes.get(source) ?? this.recording.get(source)
    if (evidence === undefined) throw new Error(`${source} is not in the recording`)
    const edited = change(evidence)
    if (JSON.stringify(edited) === JSON.stringify(evidence)) throw new Error(`the edit of ${source} changes nothing`)
    this.changes.set(source, edited)
  }
}

function changed(text: string, change: (value: Json) => void): string {
  // Numbers beyond 2^53 (etcd's ids) pass as text, as helpers/facts/json.ts reads them.
  const value = JSON.parse(text.replace(/([:[,]\s*)(\d{16,})(?=\s*[,}\]])/g, '$1"$2"'))
  change(value)
  return JSON.stringify(value, null, 1)
}
