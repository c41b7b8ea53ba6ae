import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import ssh2, { type ServerChannel } from 'ssh2'
import { commandSource, fileSource } from '../../helpers/recording/format.ts'
import type { Recording } from '../../helpers/recording/recording.ts'

/** What a simulated node does wrong. */
export const faults = [
  'silent', // accepts the connection and says nothing
  'stalls', // stops in the middle of the answer
  'lingers', // never closes the channel after the answer
  'cut', // breaks the connection within a frame
  'garbles', // writes a frame whose length is wrong
  'refuses', // takes no key
  'day-ahead', // its clock is a day ahead
  'same-as-first', // answers as the first node of the recording
] as const
export type Fault = (typeof faults)[number]

export interface SimulatedNode {
  readonly recording: Recording
  readonly name: string
  readonly fault: Fault | undefined
  /** Milliseconds from here to there and back. */
  readonly latency: number
  readonly hostKey: string
  /** Its API server, on loopback as the node itself reaches it, and the admin.conf that leads there. */
  readonly api: { readonly port: number; readonly kubeconfig: string } | undefined
}

/** An SSH server on loopback that answers the suite's script with what was recorded of a node. Gives its port. */
export async function startNode(node: SimulatedNode): Promise<number> {
  const ssh = new ssh2.Server({ hostKeys: [node.hostKey] }, client => {
    client.on('error', () => {})
    client.on('authentication', context => {
      if (node.fault === 'refuses' || context.method === 'none') context.reject(['publickey'])
      else context.accept()
    })
    client.on('tcpip', (accept, reject) => {
      if (node.api === undefined) {
        reject()
        return
      }
      const channel = accept()
      const far = connect(node.api.port, '127.0.0.1')
      far.on('error', () => channel.end())
      channel.on('error', () => far.destroy())
      channel.pipe(far).pipe(channel)
    })
    client.on('session', accept => {
      accept().on('exec', acceptExec => converse(acceptExec(), node, () => client.end()))
    })
  })
  await new Promise<void>(resolve => ssh.listen(0, '127.0.0.1', resolve))
  const { port: sshPort } = ssh.address() as AddressInfo
  const listener = createServer(socket => {
    socket.on('error', () => {})
    if (node.fault !== 'silent') relay(socket, sshPort, node.latency / 2)
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  return (listener.address() as AddressInfo).port
}

function converse(channel: ServerChannel, node: SimulatedNode, hangUp: () => void): void {
  let script = ''
  channel.on('data', (bytes: Buffer) => {
    script += bytes.toString('utf8')
    if (!script.endsWith('exit 0\n')) return
    const answer = script.startsWith('echo --begin--')
      ? `--begin--\n${node.api?.kubeconfig ?? 'cat: admin.conf: No such file or directory'}\n--end--\n`
      : answerTo(script, node)
    const half = Math.floor(answer.length / 2)
    switch (node.fault) {
      case 'stalls':
        return void channel.write(answer.slice(0, half))
      case 'cut':
        return void channel.write(answer.slice(0, half), hangUp)
      case 'garbles':
        return void channel.write(answer.replace(/ err (\d+)\n/, (_, size) => ` err ${Number(size) + 1}\n`))
      case 'lingers':
        return void channel.write(answer)
    }
    channel.write(answer, () => {
      channel.exit(0)
      channel.end()
    })
  })
}

/** The frames that the script would write on the recorded node. */
function answerTo(script: string, { recording, name, fault }: SimulatedNode): string {
  const node = fault === 'same-as-first' ? (recording.nodes[0] ?? '') : name
  const nonce = /echo "@([0-9a-f]+) start/.exec(script)?.[1] ?? ''
  const frame = (kind: string, records: readonly string[]) => {
    const encoded = Buffer.from(records.join('')).toString('base64')
    return `@${nonce} ${kind} ${encoded.length}\n${encoded}\n`
  }
  const frames = script.split('commands() {').map(batch => {
    const ids = [...batch.matchAll(/^probe '([^']+)' /gm)].map(([, id = '']) => id)
    const [out, err]: string[][] = [[], []]
    for (const id of ids) {
      const evidence = recording.get(commandSource(node, id))
      const recorded = evidence?.kind === 'command' ? evidence : undefined
      const stdout = id === 'date' ? clock(fault) : (recorded?.stdout ?? '')
      const status = recorded === undefined ? 127 : (recorded.exitCode ?? 1)
      out?.push(`@${nonce} run ${id}\n${stdout}\n@${nonce} end ${id} 0.00 0.01\n`)
      err?.push(`@${nonce} run ${id}\n${recorded?.stderr ?? 'not recorded\n'}\n@${nonce} status ${status}\n`)
    }
    return ids.length === 0 ? '' : frame('out', out ?? []) + frame('err', err ?? [])
  })
  const asked = [...script.matchAll(/^files \w+ \d (.+)$/gm)].flatMap(([, paths = '']) =>
    paths.replaceAll("'", '').split(' '),
  )
  const files = recording.sources(`nodes/${node}/files/`).flatMap(source => {
    const path = source.slice(fileSource(node, '').length)
    const evidence = recording.get(source)
    if (evidence?.kind !== 'file') return []
    if (evidence.absent !== undefined)
      return asked.some(one => matches(one, path)) ? [`@${nonce} absent ${path}\n`] : []
    const { mode = '', owner = '', group = '', size = 0, mtime = 0, linkTarget, sha256, content } = evidence
    return [
      `@${nonce} stat ${mode} ${owner} ${group} ${size} ${Math.floor(mtime)} ${path}\n`,
      linkTarget === undefined ? '' : `@${nonce} link ${path}\n${linkTarget}\n`,
      sha256 === undefined ? '' : `@${nonce} sum ${sha256}  ${path}\n`,
      content === undefined
        ? `@${nonce} ${sha256 === undefined ? 'key' : 'digest'} ${path}\n`
        : `@${nonce} content ${path}\n${content}\n`,
    ]
  })
  return [`@${nonce} start 0\n`, ...frames, frame('files', files), `@${nonce} end\n`].join('')
}

function matches(pattern: string, path: string): boolean {
  const [head = '', ...rest] = pattern.split('*')
  return path.startsWith(head) && (rest.length > 0 || path === pattern) && path.endsWith(rest.at(-1) ?? '')
}

function clock(fault: Fault | undefined): string {
  return `${(Date.now() / 1000 + (fault === 'day-ahead' ? 86_400 : 0)).toFixed(9)}\n`
}

/** Passes a connection on to a port; what either side says takes some milliseconds. */
function relay(near: Socket, port: number, milliseconds: number): void {
  const far = connect(port, '127.0.0.1')
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    from.on('data', chunk => setTimeout(() => to.write(chunk), milliseconds))
    from.on('end', () => setTimeout(() => to.end(), milliseconds))
    from.on('close', () => setTimeout(() => to.destroy(), milliseconds))
    from.on('error', () => {})
  }
}
