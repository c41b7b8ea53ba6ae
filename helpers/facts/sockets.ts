import { type Line, lines, match, parser } from './parser.ts'

/** One socket as `ss -tulnp` or `ss -tnp` prints it. */
export interface Socket {
  readonly protocol: string
  readonly localAddress: string
  readonly localPort: number
  readonly peerAddress: string
  /** Undefined for `*`. */
  readonly peerPort: number | undefined
  /** The listen backlog, or the send queue of a connection. */
  readonly sendQueue: number
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
}

const ADDRESS = String.raw`(\S+):(\d+|\*)`

/** `ss -H -tulnp`: protocol, state, queues, local, peer, processes. */
export const listeningSockets = parser(text =>
  lines(text).map(line => {
    const pattern = new RegExp(
      String.raw`^(\w+)\s+(?:LISTEN|UNCONN)\s+(\d+)\s+(\d+)\s+${ADDRESS}\s+${ADDRESS}\s*(users:\(.*\))?\s*$`,
    )
    const [protocol, , queue, local, port, peer, peerPort, users] = match(line, pattern, 'a listening socket')
    return socket(line, [protocol, queue, local, port, peer, peerPort, users])
  }),
)

/** `ss -H -tnp state established`: queues, local, peer, processes. */
export const establishedSockets = parser(text =>
  lines(text).map(line => {
    const pattern = new RegExp(String.raw`^(?:ESTAB\s+)?(\d+)\s+(\d+)\s+${ADDRESS}\s+${ADDRESS}\s*(users:\(.*\))?\s*$`)
    const [, queue, local, port, peer, peerPort, users] = match(line, pattern, 'an established socket')
    return socket(line, ['tcp', queue, local, port, peer, peerPort, users])
  }),
)

function socket(line: Line, fields: (string | undefined)[]): Socket {
  const [protocol = '', queue, local = '', port, peer = '', peerPort, users = ''] = fields
  const processes = [...users.matchAll(/\("([^"]*)",pid=(\d+)/g)].map(found => ({
    name: found[1] ?? '',
    pid: Number(found[2]),
  }))
  if (users !== '' && processes.length === 0) match(line, /^$/, 'a process list')
  return {
    protocol,
    localAddress: bare(local),
    localPort: Number(port),
    peerAddress: bare(peer),
    peerPort: peerPort === '*' ? undefined : Number(peerPort),
    sendQueue: Number(queue),
    processes,
  }
}

/** Without brackets, interface and the IPv4-in-IPv6 prefix. */
function bare(address: string): string {
  return address
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/%.*$/, '')
    .replace(/^::ffff:/, '')
}
