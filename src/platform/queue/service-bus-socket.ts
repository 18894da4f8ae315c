import type { ServiceBusClient } from '@azure/service-bus'

interface Socket {
  setNoDelay(noDelay: boolean): void
  once(event: 'close', listener: () => void): void
  destroy(error?: Error): void
}

interface Hidden {
  _connectionContext?: { connection?: { _connection?: { socket?: Socket } } }
}

const known = new WeakSet<Socket>()

/**
 * What the client has no setting and no event for. Small frames leave at once: each would wait for the answer to the one
 * before, 40 ms when the other side delays its own. And we learn of a connection's end when it ends: what is on its way then
 * would be waited for in vain. Where a later version hides its socket better, time is lost, and nothing else.
 */
export function watchSocket(client: ServiceBusClient, onClose: () => void): void {
  const socket = socketOf(client)
  if (!socket || known.has(socket)) return
  known.add(socket)
  socket.setNoDelay(true)
  socket.once('close', onClose)
}

/**
 * The client connects anew in the place of a connection that took too long to open, and forgets the socket of that: a broker that says
 * nothing would get one more with each attempt, and the last of them would keep the process from ending.
 */
export function endReplacedSockets(client: ServiceBusClient): void {
  const connection = (client as unknown as Hidden)._connectionContext?.connection?._connection
  if (!connection) return
  let { socket } = connection
  Object.defineProperty(connection, 'socket', {
    get: () => socket,
    set: (next: Socket | undefined) => {
      // Without an error, which would be taken for one of the new connection.
      if (socket !== next) socket?.destroy()
      socket = next
    },
  })
}

/** Ends what the client still waits for, a minute long, on a connection that says nothing. */
export function destroySocket(client: ServiceBusClient): void {
  socketOf(client)?.destroy(new Error('the connection was given up'))
}

function socketOf(client: ServiceBusClient): Socket | undefined {
  return (client as unknown as Hidden)._connectionContext?.connection?._connection?.socket
}
