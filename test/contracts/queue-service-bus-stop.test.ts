import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { faulty, openOn } from './queue/faulty-broker.ts'
import { messages, take, until } from './queue/under-test.ts'

/** Later than the client waits for a link to be quiet. */
const farMs = 300
/** From the end of a handler to the client's asking for the next message it takes fewer. */
const mostMicrotasks = 18

test('what a handler that was just through has asked for goes back as well, whenever its receiver is stopped', async () => {
  const counts = await Promise.all(Array.from({ length: mostMicrotasks }, (_, after) => stopRightAfterAHandler(after)))
  assert.equal(counts.length, mostMicrotasks)
  for (const count of counts) assert.deepEqual(count, { ready: 2, locked: 0, scheduled: 0, dead: 0 })
})

/** The messages of a queue after a receiver was stopped so many microtasks after its first handler was through. */
async function stopRightAfterAHandler(microtasks: number) {
  await using opened = new AsyncDisposableStack()
  const under = opened.use(await faulty({ lockMs: 3_600_000 }))
  const proxy = opened.use(await startTcpProxy({ host: '127.0.0.1', port: under.broker.port }))
  const far = openOn(under.broker.connectionString.replace(String(under.broker.port), String(proxy.port)), {
    operationTimeoutMs: 5000,
    watchMs: 60_000,
  })
  opened.defer(() => far.close())
  await far.connect(60_000)
  await under.queue.send(messages(3))
  const stopped = Promise.withResolvers<void>()
  const { deliveries, receiver } = take(
    far,
    async (delivery) => {
      await delivery.complete()
      void stopLater().then(stopped.resolve, stopped.reject)
    },
    { concurrency: 1 },
  )
  async function stopLater() {
    for (let passed = 0; passed < microtasks; passed++) await undefined
    proxy.delayMs = farMs
    await receiver.stop(0)
  }
  await stopped.promise
  assert.equal(deliveries.length, 1)
  const { broker } = under
  await until(() => broker.counts('parley').locked === 0)
  return broker.counts('parley')
}
