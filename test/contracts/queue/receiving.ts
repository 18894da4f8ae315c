import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { type Delivery, LockLostError, type Queue } from '#platform/queue/queue.ts'
import { type Check, maxDeliveries, messageOf, messages, settle, type Taking, take, until } from './under-test.ts'

/** How many at once, for whom, and how it ends. */
export function receiving(check: Check): void {
  check('no more than the concurrency are delivered at once, and no fewer', async ({ queue }) => {
    await queue.send(messages(40))
    let [running, most] = [0, 0]
    const gate = Promise.withResolvers<void>()
    const { deliveries } = take(
      queue,
      async (delivery) => {
        running += 1
        most = Math.max(most, running)
        await gate.promise
        await delivery.complete()
        running -= 1
      },
      { concurrency: 7 },
    )
    await until(() => running === 7)
    await settle()
    assert.equal(running, 7)
    gate.resolve()
    await until(() => deliveries.length === 40 && running === 0)
    assert.equal(most, 7)
  })

  check('receivers share the messages, each of which goes to one', async ({ queue }) => {
    const sent = messages(60)
    const takings = [take(queue, undefined, { concurrency: 3 }), take(queue, undefined, { concurrency: 3 })]
    await queue.send(sent)
    const all = () => takings.flatMap(({ deliveries }) => deliveries)
    await until(() => all().length === 60)
    await settle()
    assert.deepEqual(
      all()
        .map(({ id }) => id)
        .sort(),
      sent.map(({ id }) => id).sort(),
    )
  })

  check('a receiver that stops waits for its handlers, and takes nothing new', async ({ queue }) => {
    const gate = Promise.withResolvers<void>()
    const work = async (delivery: Delivery) => {
      await gate.promise
      await delivery.complete()
    }
    const { deliveries, receiver } = take(queue, work, { concurrency: 2 })
    await queue.send(messages(5))
    await until(() => deliveries.length === 2)
    let stopped = false
    const stopping = receiver.stop(60_000).then(() => {
      stopped = true
    })
    await settle()
    assert.equal(stopped, false)
    assert.equal(deliveries[0]?.signal.aborted, false)
    gate.resolve()
    await stopping
    assert.equal(deliveries.length, 2)
    await receiver.stop(0)
    const rest = take(queue)
    await until(() => rest.deliveries.length === 3)
    await settle()
    assert.equal(rest.deliveries.length, 3)
  })

  check('what is on its way to a receiver that stops is there for others at once', async ({ queue }) => {
    const sent = messages(300)
    const completed: string[] = []
    const sending = queue.send(sent)
    for (const graceMs of [0, 60_000]) {
      for (const moment of moments) await stopAt(queue, moment, graceMs, completed)
    }
    await sending
    // Time stands still, so nothing comes because its lock has run out.
    takeInto(queue, completed)
    await until(() => completed.length >= sent.length)
    await settle()
    assert.deepEqual(completed.sort(), sent.map(({ id }) => id).sort())
  })

  check('a receiver that is stopped while it begins keeps nothing', async ({ queue }) => {
    const sent = messages(200)
    const completed: string[] = []
    await queue.send(sent)
    // Fewer stops than deliveries that a message may have: each may put the same ones back.
    for (let turns = 0; turns < maxDeliveries - 2; turns++) {
      const { receiver } = takeInto(queue, completed)
      for (let turn = 0; turn < turns; turn++) await setImmediate()
      await receiver.stop(turns % 2 === 0 ? 0 : 60_000)
    }
    takeInto(queue, completed)
    await until(() => completed.length >= sent.length)
    await settle()
    assert.deepEqual(completed.sort(), sent.map(({ id }) => id).sort())
  })

  check('after the grace, what handlers still hold goes back', async ({ queue }) => {
    await queue.send([messageOf()])
    const gate = Promise.withResolvers<void>()
    const { deliveries, receiver } = take(queue, () => gate.promise)
    await until(() => deliveries.length === 1)
    const [held] = deliveries
    assert.ok(held)
    const { signal } = held
    await receiver.stop(0)
    assert.equal(signal.aborted, true)
    await assert.rejects(held.complete(), LockLostError)
    const next = take(queue)
    await until(() => next.deliveries.length === 1)
    assert.equal(next.deliveries[0]?.deliveryCount, 2)
    gate.resolve()
  })

  check('who waits for a receiver to stop waits no longer than those who have less patience', async ({ queue }) => {
    await queue.send([messageOf()])
    const gate = Promise.withResolvers<void>()
    const { deliveries, receiver } = take(queue, () => gate.promise)
    await until(() => deliveries.length === 1)
    const stopping = receiver.stop(3_600_000)
    await receiver.stop(0)
    await stopping
    assert.equal(deliveries[0]?.signal.aborted, true)
    gate.resolve()
  })

  check(
    'a queue that is closed takes from its handlers what a receiver that stops still leaves them',
    async ({ queue }) => {
      await queue.send([messageOf()])
      const gate = Promise.withResolvers<void>()
      const { deliveries, receiver } = take(queue, () => gate.promise)
      await until(() => deliveries.length === 1)
      const stopping = receiver.stop(3_600_000)
      await queue.close()
      assert.equal(deliveries[0]?.signal.aborted, true)
      await stopping
      gate.resolve()
    },
  )

  check('a closed queue refuses, and has given back what was held', async ({ queue }) => {
    await queue.send([messageOf()])
    const gate = Promise.withResolvers<void>()
    const { deliveries } = take(queue, () => gate.promise)
    await until(() => deliveries.length === 1)
    await queue.close()
    await queue.close()
    assert.equal(queue.reachable, false)
    assert.equal(deliveries[0]?.signal.aborted, true)
    await assert.rejects(queue.send([messageOf()]), { code: 'queue_unavailable' })
    await assert.rejects(queue.schedule([messageOf()], 0), { code: 'queue_unavailable' })
    await assert.rejects(queue.deadLetters(1), { code: 'queue_unavailable' })
    assert.throws(() => take(queue), { code: 'queue_unavailable' })
    gate.resolve()
  })
}

/** Where the last message is that a receiver gets before it is told to stop. */
const moments = ['delivered', 'being completed', 'completed'] as const

/** Completes messages until one is at that point, and stops there; fewer than 50, however fast the machine is. */
async function stopAt(queue: Queue, moment: (typeof moments)[number], graceMs: number, completed: string[]) {
  const stop = Promise.withResolvers<void>()
  let stopping: Promise<void> | undefined
  const { deliveries, receiver } = take(
    queue,
    async (delivery) => {
      const isLast = deliveries.length === 30
      const reached = (point: typeof moment) => {
        if (!isLast || point !== moment) return
        stopping = receiver.stop(graceMs)
        stop.resolve()
      }
      if (deliveries.length > 30) await stop.promise
      reached('delivered')
      const completing = delivery.complete()
      reached('being completed')
      await completing
      completed.push(delivery.id)
      reached('completed')
    },
    { concurrency: 20 },
  )
  await stop.promise
  await stopping
}

function takeInto(queue: Queue, completed: string[]): Taking {
  const work = async (delivery: Delivery) => {
    await delivery.complete()
    completed.push(delivery.id)
  }
  return take(queue, work, { concurrency: 20 })
}
