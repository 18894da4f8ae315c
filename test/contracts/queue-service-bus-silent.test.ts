import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { systemClock } from '#platform/clock.ts'
import { ServiceBusQueue } from '#platform/queue/service-bus.ts'
import { capturedLog } from '../support/captured-log.ts'

test('to a broker that takes connections and says nothing the connection that it did not open is not kept', async () => {
  const sockets: Socket[] = []
  const firstClosed = Promise.withResolvers<void>()
  const secondOpened = Promise.withResolvers<void>()
  const silent = createServer((socket) => {
    if (sockets.length === 0) socket.once('close', () => firstClosed.resolve())
    else secondOpened.resolve()
    sockets.push(socket)
    socket.on('error', () => {})
    socket.resume()
  }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const connectionString = `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true`
  const address = {
    queue: 'silent',
    connectionString,
    tokens: { token: () => Promise.reject(new Error('a token is not asked for')) },
  }
  const queue = new ServiceBusQueue({ address, clock: systemClock, log: capturedLog().log, operationTimeoutMs: 60_000 })
  await queue.connect(1)
  assert.equal(queue.reachable, false)

  // The client gives up opening after five seconds by itself, and connects anew.
  await Promise.all([firstClosed.promise, secondOpened.promise])
  assert.equal(sockets[0]?.destroyed, true)

  silent.close()
  for (const socket of sockets) socket.destroy()
  await queue.close()
})
