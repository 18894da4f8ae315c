import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** Stands between a client and a server, counts what comes, and cuts the line. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number
  /** Pieces that clients sent, as they arrived. */
  readonly received: number
  /** What the server answers arrives so much later, ms. */
  delayMs: number
  /** What the server answers is dropped from now on. */
  muteServer(): void
  /** Ends all connections; new ones go through again. */
  cut(): void
  /** Ends all connections and lets none through until `mend`. */
  break(): void
  mend(): void
}

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let received = 0
  let broken = false
  const server = createServer((client) => {
    if (broken) return void client.destroy()
    const upstream = connect(target)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', (piece) => {
      received += 1
      upstream.write(piece)
    })
    upstream.on('data', (piece) => {
      if (mute.has(upstream)) return
      if (proxy.delayMs === 0) client.write(piece)
      else setTimeout(() => client.write(piece), proxy.delayMs)
    })
  })
  const mute = new Set<Socket>()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a proxy without a port')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const proxy: TcpProxy = {
    delayMs: 0,
    port: address.port,
    get received() {
      return received
    },
    muteServer: () => {
      for (const socket of sockets) mute.add(socket)
    },
    cut,
    break: () => {
      broken = true
      cut()
    },
    mend: () => {
      broken = false
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      cut()
      await once(server, 'close')
    },
  }
  return proxy
}
