import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createRawServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { keepAliveTimeout } from './keep-alive.ts'

/** A request as it came in. */
export interface Received {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: string
}

export interface HttpTarget extends AsyncDisposable {
  readonly port: number
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
  readonly requests: readonly Received[]
}

/** An internal tool that answers as told; what was sent to it can be looked at. */
export async function httpTarget(
  answer: (request: Received, response: ServerResponse) => void,
  host = '127.0.0.1',
  port = 0,
): Promise<HttpTarget> {
  const requests: Received[] = []
  const listener: RequestListener = async (incoming, response) => {
    const { method = '', url = '', headers } = incoming
    const request = { method, url, headers, body: await text(incoming).catch(() => '') }
    requests.push(request)
    answer(request, response)
  }
  const server = createServer({ maxHeaderSize: 65_536, keepAliveTimeout }, listener).listen(port, host)
  await once(server, 'listening')
  const bound = portOf(server.address())
  return {
    port: bound,
    origin: `http://${host}:${bound}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A target that speaks no HTTP of its own: it is handed the bare connection. */
export async function rawTarget(serve: (socket: Socket) => void): Promise<Omit<HttpTarget, 'requests'>> {
  const sockets = new Set<Socket>()
  const server = createRawServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server.address())
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function portOf(address: ReturnType<ReturnType<typeof createRawServer>['address']>): number {
  if (address === null || typeof address === 'string') throw new Error('a server without a port')
  return address.port
}
