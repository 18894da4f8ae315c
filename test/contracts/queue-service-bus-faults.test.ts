import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Delivery, LockLostError } from '#platform/queue/queue.ts'
import { isSettledAtOnce } from '../support/at-once.ts'
import { manualClock } from '../support/clock.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { faulty, openOn } from './queue/faulty-broker.ts'
import { messageOf, messages, settle, take, until } from './queue/under-test.ts'

/** What only a broker far away can do to us. Mostly in real time, since it is the client's timers that are tested. */

/** Where the clock is turned, by more than any answer takes. */
const inNoHurry = { operationTimeoutMs: 1_000_000_000 }

test('messages get through while links are dropped again and again', async () => {
  await using under = await faulty({ lockMs: 2000, maxDeliveries: 1000 })
  await getsThrough(under, () => under.broker.dropLinks(), 250)
})

test('messages get through while connections are dropped again and again', async () => {
  await using under = await faulty({ lockMs: 2000, maxDeliveries: 1000 })
  await getsThrough(under, () => under.broker.dropConnections(), 400)
})

test('messages get through while locks are lost again and again', async () => {
  await using under = await faulty({ lockMs: 2000, maxDeliveries: 1000 })
  await getsThrough(under, () => under.broker.loseLocks())
})

test('a delivery that outlives its link can still be settled, for its lock does', async () => {
  await using under = await faulty()
  for (const drop of ['dropLinks', 'dropConnections'] as const) {
    const gate = Promise.withResolvers<void>()
    const { deliveries, receiver } = take(under.queue, async (delivery) => {
      await gate.promise
      await delivery.complete()
    })
    await under.queue.send([messageOf()])
    await until(() => deliveries.length === 1)
    under.broker[drop]()
    await until(async () => answers(under.queue.send([messageOf()])))
    gate.resolve()
    await until(() => deliveries.length >= 2 && under.broker.counts('parley').locked === 0)
    assert.deepEqual(under.broker.counts('parley'), { ready: 0, locked: 0, scheduled: 0, dead: 0 })
    assert.equal(deliveries[0]?.signal.aborted, false)
    await receiver.stop(1000)
  }
})

test('whoever completes after the lock was lost learns of it, and the message comes again', async () => {
  await using under = await faulty()
  const outcomes: unknown[] = []
  const { deliveries } = take(under.queue, async (delivery) => {
    if (delivery.deliveryCount === 1) under.broker.loseLocks()
    outcomes.push(await delivery.complete().catch((error) => error))
  })
  await under.queue.send([messageOf()])
  await until(() => outcomes.length === 2)
  assert.ok(outcomes.some((outcome) => outcome instanceof LockLostError))
  assert.ok(outcomes.includes(undefined))
  assert.equal(deliveries[0]?.signal.aborted, true)
  assert.equal(deliveries[1]?.signal.aborted, false)
})

test('a handler at work learns by the next renewal that its lock is lost', async () => {
  const clock = manualClock()
  await using under = await faulty({ ...inNoHurry, clock, lockMs: 30_000 })
  const { deliveries } = take(
    under.queue,
    async (delivery) => {
      if (delivery.deliveryCount > 1) return delivery.complete()
      const lost = new Promise((resolve) => delivery.signal.addEventListener('abort', resolve, { once: true }))
      under.broker.loseLocks()
      await lost
    },
    { renewForMs: 60_000 },
  )
  await under.queue.send([messageOf()])
  await until(() => deliveries.length === 2)
  const [first] = deliveries
  assert.equal(first?.signal.aborted, false)
  // Half of the lock: until then it would not have run out.
  clock.advance(15_000)
  await until(() => first?.signal.aborted === true)
  assert.ok(first?.signal.reason instanceof LockLostError)
})

test('while the broker is away calls are refused at once; it comes back, and all goes on by itself', async () => {
  await using under = await faulty()
  const { deliveries } = take(under.queue)
  await under.queue.send([messageOf('before')])
  await until(() => deliveries.length === 1)
  await under.broker.stop()
  await until(() => !under.queue.reachable || answers(under.queue.send([messageOf()])).then(() => false))
  const refused = [
    under.queue.send([messageOf()]),
    under.queue.schedule([messageOf()], Date.now() + 60_000),
    under.queue.deadLetters(1),
    under.queue.removeDeadLetters(['id']),
  ]
  const areSettled = Promise.all(refused.map(isSettledAtOnce))
  for (const refusal of refused) await assert.rejects(refusal, { code: 'queue_unavailable' })
  assert.deepEqual(await areSettled, [true, true, true, true])
  await under.broker.start()
  await until(() => under.queue.reachable)
  await under.queue.send([messageOf('after')])
  await until(() => deliveries.some(({ body }) => body === 'after'))
})

test('what is held when the broker goes is settled when it is back in time', async () => {
  await using under = await faulty()
  const gate = Promise.withResolvers<void>()
  const settled: unknown[] = []
  const { deliveries } = take(under.queue, async (delivery) => {
    await gate.promise
    settled.push(await delivery.complete().catch((error) => error))
    await until(() => under.queue.reachable)
    settled.push(await delivery.complete().catch((error) => error))
  })
  await under.queue.send([messageOf()])
  await until(() => deliveries.length === 1)
  await under.broker.stop()
  await until(() => !under.queue.reachable || answers(under.queue.send([messageOf()])).then(() => false))
  gate.resolve()
  await until(() => settled.length === 1)
  assert.equal(settled[0] instanceof Error && 'code' in settled[0] && settled[0].code, 'queue_unavailable')
  assert.equal(deliveries[0]?.signal.aborted, false)
  await under.broker.start()
  await until(() => settled.length === 2)
  assert.equal(settled[1], undefined)
  assert.equal(under.broker.counts('parley').locked, 0)
  assert.equal(deliveries.length, 1)
})

test('a queue that is opened while the broker is away is there when the broker is', async () => {
  await using under = await faulty()
  await under.broker.stop()
  const queue = openOn(under.broker.connectionString, { operationTimeoutMs: 1000, watchMs: 60_000 })
  await queue.connect(200)
  assert.equal(queue.reachable, false)
  const { deliveries } = take(queue)
  await assert.rejects(queue.send([messageOf()]), { code: 'queue_unavailable' })
  await under.broker.start()
  await until(() => queue.reachable)
  await queue.send([messageOf()])
  await until(() => deliveries.length === 1)
  await queue.close()
})

test('a queue that there is not is out of reach', async () => {
  await using under = await faulty({ queues: ['another'], patienceMs: 300 })
  assert.equal(under.queue.reachable, false)
  await assert.rejects(under.queue.send([messageOf()]), { code: 'queue_unavailable' })
})

test('a send that is refused says so, and leaves the others alone', async () => {
  await using under = await faulty()
  const { deliveries } = take(under.queue)
  under.broker.faults.refuseSends = 'com.microsoft:server-busy'
  await assert.rejects(under.queue.send([messageOf()]), { code: 'queue_unavailable' })
  assert.equal(under.queue.reachable, true)
  under.broker.faults.refuseSends = undefined
  await under.queue.send([messageOf()])
  await until(() => deliveries.length === 1)
})

test('links that are refused are asked for again', async () => {
  await using under = await faulty()
  const { deliveries } = take(under.queue)
  await settle()
  under.broker.faults.refuseLinks = 'com.microsoft:server-busy'
  under.broker.dropLinks()
  await settle()
  under.broker.faults.refuseLinks = undefined
  await until(async () => answers(under.queue.send([messageOf()])))
  await until(() => deliveries.length >= 1)
  assert.equal(under.queue.reachable, true)
})

test('a send that is never acknowledged fails in time; sent again, it is swallowed', async () => {
  const clock = manualClock()
  await using under = await faulty({ clock, operationTimeoutMs: 5000 })
  const { deliveries } = take(under.queue)
  const message = messageOf()
  under.broker.faults.swallowAcknowledgements = true
  const refused = assert.rejects(under.queue.send([message]), { code: 'queue_unavailable' })
  await until(() => under.broker.operations.sends === 1)
  clock.advance(5000)
  await refused
  under.broker.faults.swallowAcknowledgements = false
  await until(async () => answers(under.queue.send([message])))
  await until(() => deliveries.length > 0)
  await settle()
  assert.equal(deliveries.length, 1)
})

test('a slow broker is waited for, up to the limit', async () => {
  await using under = await faulty({ operationTimeoutMs: 1500 })
  const { deliveries } = take(under.queue)
  under.broker.faults.slowMs = 150
  await until(async () => answers(under.queue.send([messageOf()])))
  await until(() => deliveries.length > 0 && under.broker.counts('parley').locked === 0)
  await until(() => under.queue.reachable)
  // A machine that stalls would hear of one that is only later than the limit in time.
  under.broker.faults.slowMs = 60_000
  await assert.rejects(under.queue.send([messageOf()]), { code: 'queue_unavailable' })
  under.broker.faults.slowMs = 0
  await until(async () => answers(under.queue.send([messageOf()])))
  await until(() => deliveries.length >= 2)
})

test('a link through which nothing comes though there is something is replaced', async () => {
  const clock = manualClock()
  const watchMs = 30_000
  await using under = await faulty({ ...inNoHurry, clock, watchMs, lockMs: 3_600_000 })
  const { deliveries } = take(under.queue)
  await under.queue.send([messageOf()])
  await until(() => deliveries.length === 1 && under.broker.counts('parley').locked === 0)
  under.broker.deafen()
  await under.queue.send([messageOf()])
  await settle()
  assert.equal(deliveries.length, 1)
  // Something came within the first of these, nothing within the second.
  clock.advance(watchMs)
  clock.advance(watchMs)
  await until(() => deliveries.length === 2)
  assert.equal(under.queue.reachable, true)
})

test('a connection that falls silent is given up for another', async () => {
  await using broken = new AsyncDisposableStack()
  let port = 0
  const under = broken.use(await faulty())
  const proxy = broken.use(await startTcpProxy({ host: '127.0.0.1', port: under.broker.port }))
  port = proxy.port
  const connectionString = under.broker.connectionString.replace(`:${under.broker.port};`, `:${port};`)
  const queue = openOn(connectionString, { operationTimeoutMs: 1500, watchMs: 60_000 })
  broken.defer(() => queue.close())
  await queue.connect(60_000)
  const { deliveries } = take(queue)
  await queue.send([messageOf()])
  await until(() => deliveries.length === 1)
  proxy.muteServer()
  await assert.rejects(queue.send([messageOf('lost or late')]), { code: 'queue_unavailable' })
  await until(async () => answers(queue.send([messageOf('heard again')])))
  await until(() => deliveries.some(({ body }) => body === 'heard again'))
  assert.equal(queue.reachable, true)
})

test('a message that takes long does not hold up thousands of others', async () => {
  await using under = await faulty({ operationTimeoutMs: 10_000, lockMs: 3_600_000 })
  const gate = Promise.withResolvers<void>()
  const { deliveries } = take(
    under.queue,
    async (delivery: Delivery) => {
      if (delivery.body === 'long') await gate.promise
      await delivery.complete()
    },
    { concurrency: 50 },
  )
  await under.queue.send([messageOf('long')])
  await until(() => deliveries.length === 1)
  // A session of the client has room for 2048 messages from the oldest that is not settled on.
  for (let n = 0; n < 5; n++) await under.queue.send(messages(1000))
  await until(() => deliveries.length === 5001)
  gate.resolve()
  await until(() => under.broker.counts('parley').locked === 0)
  assert.equal(under.broker.counts('parley').ready, 0)
})

test('a dead letter behind more than a link can hold is taken out all the same', async () => {
  await using under = await faulty({ operationTimeoutMs: 10_000 })
  const { deliveries } = take(under.queue, (delivery) => delivery.deadLetter('poison', ''), { concurrency: 100 })
  const sent = messages(1000)
  await under.queue.send(sent)
  await until(() => under.broker.counts('parley').dead === 1000)
  const [last, beforeLast] = [messageOf(), messageOf()]
  await under.queue.send([...messages(98), beforeLast])
  await until(() => under.broker.counts('parley').dead === 1099)
  await under.queue.send([last])
  await until(() => under.broker.counts('parley').dead === 1100)
  assert.deepEqual(await under.queue.removeDeadLetters([last.id, beforeLast.id]), [true, true])
  assert.equal(under.broker.counts('parley').dead, 1098)
  assert.equal(deliveries.length, 1100)
  assert.equal((await under.queue.deadLetters(100)).length, 100)
})

test('no more messages wait to be sent than fit', async () => {
  const clock = manualClock()
  await using under = await faulty({ clock, operationTimeoutMs: 5000 })
  under.broker.faults.swallowAcknowledgements = true
  const sends = Array.from({ length: 22 }, () => under.queue.send(messages(1000)))
  let settled: PromiseSettledResult<void>[] | undefined
  void Promise.allSettled(sends).then((results) => {
    settled = results
  })
  await until(() => {
    clock.advance(1000)
    return settled !== undefined
  })
  const causes = settled?.map((result) => result.status === 'rejected' && result.reason) ?? []
  for (const { code } of causes) assert.equal(code, 'queue_unavailable')
  const tooMany = causes.map(({ cause }) => cause === 'too many messages wait')
  assert.deepEqual(tooMany, [...Array(20).fill(false), true, true])
})

test('what reaches a receiver long after it was told to stop goes back as well', async () => {
  await using under = await faulty()
  await using proxy = await startTcpProxy({ host: '127.0.0.1', port: under.broker.port })
  const far = openOn(under.broker.connectionString.replace(String(under.broker.port), String(proxy.port)), {
    operationTimeoutMs: 5000,
    watchMs: 60_000,
  })
  await far.connect(60_000)
  const { deliveries, receiver } = take(far)
  await far.send([messageOf()])
  await until(() => deliveries.length === 1 && under.broker.counts('parley').locked === 0)
  proxy.delayMs = 400
  await under.queue.send(messages(8))
  await until(() => under.broker.counts('parley').locked === 8)
  await receiver.stop(0)
  proxy.delayMs = 0
  await until(() => under.broker.counts('parley').locked === 0)
  assert.equal(deliveries.length, 1)
  const next = take(under.queue)
  await until(() => next.deliveries.length === 8)
  assert.equal(next.deliveries.length, 8)
  await far.close()
})

test('it closes in time though the broker says nothing', async () => {
  const under = await faulty({ operationTimeoutMs: 500 })
  const gate = Promise.withResolvers<void>()
  const { deliveries } = take(under.queue, () => gate.promise)
  await under.queue.send([messageOf()])
  await until(() => deliveries.length === 1)
  under.broker.faults.slowMs = 60_000
  using sinceAsked = startStopwatch()
  await under.queue.close()
  assert.ok(sinceAsked.ms < 8000)
  gate.resolve()
  await under[Symbol.asyncDispose]()
})

test('nothing stays behind of the clients that were given up', async () => {
  // What they waited for when they lost their connection they forget within a minute; tokens would be renewed after 45.
  await until(() => !process.getActiveResourcesInfo().includes('Timeout'), 100_000)
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap'),
    [],
  )
})

/** Sends and consumes while `fault` strikes: every message that was taken is delivered and completed at last. */
async function getsThrough({ broker, queue }: Awaited<ReturnType<typeof faulty>>, fault: () => void, everyMs = 60) {
  const completed = new Set<string>()
  take(
    queue,
    async (delivery) => {
      await delivery.complete()
      completed.add(delivery.id)
    },
    { concurrency: 20 },
  )
  const striking = setInterval(fault, everyMs)
  const kept: string[] = []
  try {
    for (let n = 0; n < 60; n++) {
      const some = messages(5)
      // What may have got through is sent again, as the rows behind it would have it.
      await until(async () => answers(queue.send(some)))
      kept.push(...some.map(({ id }) => id))
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  } finally {
    clearInterval(striking)
  }
  await until(() => Object.values(broker.counts('parley')).every((count) => count === 0))
  assert.equal(kept.length, 300)
  assert.equal(broker.counts('parley').dead, 0)
  assert.ok(completed.size > 0)
}

function answers(sending: Promise<void>): Promise<boolean> {
  return sending.then(
    () => true,
    () => false,
  )
}
