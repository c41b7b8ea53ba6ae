import { createServer, type AddressInfo, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
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
}

/** An SSH server on loopback that answers the suite's script with what was recorded of a node. Gives its port. */
export async function startNode(node: SimulatedNode): Promise<number> {
  const ssh = new ssh2.Server({ hostKeys: [node.hostKey] }, client => {
    client.on('error', () => {})
    client.on('authentication', context => {
      if (node.fault === 'refuses' || context.method === 'none') context.reject(['publickey'])
      else context.accept()
    })
    client.on('session', accept => {
      accept().on('exec', acceptExec => converse(acceptExec(), node, () => client.end()))
    })
  })
  const listener = createServer(socket => {
    socket.on('error', () => {})
    if (node.fault !== 'silent') ssh.injectSocket(delayed(socket, node.latency / 2) as Socket)
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  return (listener.address() as AddressInfo).port
}

function converse(channel: ServerChannel, node: SimulatedNode, hangUp: () => void): void {
  let script = ''
  channel.on('data', (bytes: Buffer) => {
    script += bytes.toString('utf8')
    if (!script.endsWith('exit 0\n')) return
    const answer = answerTo(script, node)
    const half = Math.floor(answer.length / 2)
    switch (node.fault) {
      case 'stalls':
        return void channel.write(answer.slice(0, half))
      case 'cut':
        return void channel.write(answer.slice(0, half), hangUp)
      case 'garbles':
        return void channel.write(answer.replace(/ err (\d+) /, (_, size) => ` err ${Number(size) + 1} `))
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
  const frames = [`@${nonce} start 0 0\n`]
  const frame = (kind: string, rest: string, payload: string) => {
    const encoded = Buffer.from(payload).toString('base64')
    frames.push(`@${nonce} ${kind} ${encoded.length}${rest}\n${encoded}\n`)
  }
  for (const [, id = ''] of script.matchAll(/^probe '([^']+)' /gm)) {
    const evidence = recording.get(commandSource(node, id))
    const recorded = evidence?.kind === 'command' ? evidence : undefined
    const stdout = id === 'date' ? clock(fault) : (recorded?.stdout ?? '')
    frame('out', ` ${id}`, stdout)
    frame('err', ` ${id} 0.00 0.01`, `${recorded?.stderr ?? 'not recorded'}\n${recorded === undefined ? 127 : (recorded.exitCode ?? 1)}`)
  }
  const asked = [...script.matchAll(/^files \w+ \d (.+)$/gm)].map(([, path = '']) => path.replaceAll("'", ''))
  for (const source of recording.sources(`nodes/${node}/files/`)) {
    const path = source.slice(fileSource(node, '').length)
    const evidence = recording.get(source)
    const isLinked = recording.sources(`nodes/${node}/files/`).length > 0 && !asked.some(one => matches(one, path))
    if (evidence?.kind !== 'file' || (isLinked && evidence.absent !== undefined)) continue
    const { mode = '', owner = '', group = '', size = 0, mtime = 0, linkTarget = '', sha256 = '' } = evidence
    const status = evidence.absent === undefined ? `file ${mode} ${owner} ${group} ${size} ${Math.floor(mtime)}` : 'absent'
    const kept = evidence.content === undefined ? (sha256 === '' ? 'key' : 'digest') : 'content'
    frame('file', '', [path, status, linkTarget, sha256, kept, evidence.content ?? ''].join('\n'))
  }
  frames.push(`@${nonce} end 0\n`)
  return frames.join('')
}

function matches(pattern: string, path: string): boolean {
  const [head = '', ...rest] = pattern.split('*')
  return path.startsWith(head) && (rest.length > 0 || path === pattern) && path.endsWith(rest.at(-1) ?? '')
}

function clock(fault: Fault | undefined): string {
  return `${(Date.now() / 1000 + (fault === 'day-ahead' ? 86_400 : 0)).toFixed(9)}\n`
}

/** A socket whose bytes take some milliseconds each way. */
function delayed(socket: Socket, milliseconds: number): Duplex {
  if (milliseconds === 0) return socket
  const later = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      setTimeout(() => socket.write(chunk), milliseconds)
      done()
    },
    final: done => {
      setTimeout(() => socket.end(), milliseconds)
      done()
    },
    destroy: (_error, done) => {
      socket.destroy()
      done(null)
    },
  })
  socket.on('data', (chunk: Buffer) => setTimeout(() => later.push(chunk), milliseconds))
  socket.on('end', () => setTimeout(() => later.push(null), milliseconds))
  socket.on('close', () => later.destroy())
  return later
}
