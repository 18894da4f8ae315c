import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openQueue } from '#platform/queue/open.ts'
import { type Broker, startBroker } from '../support/broker/broker.ts'
import { messageOf, messages, take, until } from './queue/under-test.ts'

/** A connection string that is replaced while messages come and go. */

async function open(broker: Broker) {
  const keyed = (key: string) =>
    broker.connectionString.replace('SharedAccessKeyName=test', `SharedAccessKeyName=${key}`)
  let present = keyed('first')
  let rotated = () => {}
  let doubts = 0
  const queue = await openQueue({
    env: {
      engine: 'service-bus',
      get connectionString() {
        return present
      },
      queue: 'parley',
    },
    ...{ clock: systemClock, log: createLog('silent') },
    tokens: { token: () => assert.fail('a token') },
    secrets: {
      onChange: (listener) => {
        rotated = listener
        return () => {}
      },
      doubt: () => doubts++,
    },
  })
  return {
    queue,
    /** How often a key was not taken. */
    get doubts() {
      return doubts
    },
    rotate: (key: string) => {
      present = keyed(key)
      rotated()
    },
    [Symbol.asyncDispose]: () => queue.close(),
  }
}

test('a new key is used at once, and what is held meanwhile is settled, once', async () => {
  await using broker = await startBroker()
  broker.faults.onlyKey = 'first'
  await using under = await open(broker)
  const { queue } = under
  const gate = Promise.withResolvers<void>()
  const { deliveries, receiver } = take(queue, async (delivery) => {
    if (delivery.body === 'held') await gate.promise
    await delivery.complete()
  })
  await queue.send([messageOf('held')])
  await until(() => deliveries.length === 1)

  broker.faults.onlyKey = 'second'
  under.rotate('second')
  let sent = 0
  for (const message of messages(50)) {
    await queue.send([message])
    sent += 1
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.equal(queue.reachable, true)
  await until(() => deliveries.length === sent + 1)
  gate.resolve()
  await until(() => broker.counts('parley').locked === 0)
  assert.deepEqual(broker.counts('parley'), { ready: 0, locked: 0, scheduled: 0, dead: 0 })
  assert.equal(deliveries.length, sent + 1)
  assert.ok(deliveries.every(({ signal }) => !signal.aborted))

  // Whoever comes back after a cut comes with the new key.
  broker.dropConnections()
  await until(
    async () =>
      await queue.send([messageOf()]).then(
        () => true,
        () => false,
      ),
  )
  await receiver.stop(1000)
})

test('a key that is not taken leaves the connection from before alone', async () => {
  await using broker = await startBroker()
  broker.faults.onlyKey = 'first'
  await using under = await open(broker)
  under.rotate('wrong')
  const { deliveries } = take(under.queue)
  for (let count = 1; count <= 20; count++) {
    await under.queue.send([messageOf()])
    await until(() => deliveries.length === count)
  }
  assert.equal(under.queue.reachable, true)
  await until(() => under.doubts === 1)
})

test('what is closed while it signs in anew leaves nothing behind', async () => {
  await using broker = await startBroker()
  const under = await open(broker)
  take(under.queue)
  await under.queue.send(messages(3))
  under.rotate('second')
  await under.queue.close()
  assert.equal(under.queue.reachable, false)
})
