import { type AddressInfo, createServer } from 'node:net'
import { type Connection, forward } from './connect.ts'

export interface Tunnel {
  /** The port on this machine's loopback. */
  readonly port: number
  readonly close: () => void
}

/** Opens a port on loopback that leads, through a machine's SSH connection, to a port as that machine reaches it. */
export async function tunnel(connection: Connection, host: string, port: number, limit: number): Promise<Tunnel> {
  const server = createServer(socket => {
    socket.on('error', () => socket.destroy())
    forward(connection.client, host, port, limit).then(
      stream => {
        stream.on('error', () => socket.destroy())
        stream.on('close', () => socket.destroy())
        socket.pipe(stream).pipe(socket)
      },
      (error: unknown) => socket.destroy(error as Error),
    )
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}
