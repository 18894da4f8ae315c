import assert from 'node:assert/strict'
import { type Delivery, LockLostError } from '#platform/queue/queue.ts'
import { type Check, lockMs, maxDeliveries, messageOf, messages, passUntil, settle, take, until } from './under-test.ts'

/** A delivery is a lock: settled once, renewed, lost, counted. */
export function locking(check: Check): void {
  check('an abandoned message comes back at once, counted', async ({ queue }) => {
    await queue.send([messageOf()])
    const { deliveries } = take(queue, (delivery) =>
      delivery.deliveryCount < 3 ? delivery.abandon() : delivery.complete(),
    )
    await until(() => deliveries.length === 3)
    await settle()
    assert.deepEqual(
      deliveries.map(({ deliveryCount }) => deliveryCount),
      [1, 2, 3],
    )
    assert.equal(new Set(deliveries.map(({ id }) => id)).size, 1)
  })

  check('a handler that throws, or ends without settling, has abandoned its message', async ({ queue }) => {
    await queue.send([messageOf()])
    const { deliveries } = take(queue, async (delivery) => {
      if (delivery.deliveryCount === 1) throw new Error('the handler fails')
      if (delivery.deliveryCount === 3) await delivery.complete()
    })
    await until(() => deliveries.length === 3)
    await settle()
    assert.equal(deliveries.length, 3)
  })

  check('a handler that fails after it has settled changes nothing', async ({ queue }) => {
    await queue.send([messageOf()])
    const { deliveries } = take(queue, async (delivery) => {
      await delivery.complete()
      throw new Error('the handler fails')
    })
    await until(() => deliveries.length === 1)
    await settle()
    assert.equal(deliveries.length, 1)
  })

  check('a delivery is settled once', async ({ queue }) => {
    await queue.send(messages(3))
    const settlements: ((delivery: Delivery) => Promise<void>)[] = [
      (delivery) => delivery.complete(),
      (delivery) => delivery.deadLetter('poison', ''),
      (delivery) => delivery.abandon(),
    ]
    const { deliveries } = take(
      queue,
      async (delivery) => {
        if (delivery.deliveryCount > 1) return delivery.complete()
        const first = settlements.shift()
        await first?.(delivery)
        await assert.rejects(delivery.complete(), LockLostError)
        await assert.rejects(delivery.abandon(), LockLostError)
        await assert.rejects(delivery.deadLetter('poison', ''), LockLostError)
      },
      { concurrency: 1 },
    )
    await until(() => deliveries.length === 4)
    await settle()
    assert.equal(deliveries.length, 4)
    assert.equal((await queue.deadLetters(10)).length, 1)
  })

  check(
    'a lock that ran out returns the message, and nothing of its delivery counts any more',
    async (under) => {
      const { queue } = under
      await queue.send([messageOf()])
      const release = Promise.withResolvers<void>()
      const { deliveries } = take(queue, async (delivery) => {
        if (delivery.deliveryCount === 1) await release.promise
        else await delivery.complete()
      })
      await until(() => deliveries.length === 1)
      const [first] = deliveries
      assert.ok(first)
      assert.equal(first.signal.aborted, false)
      await under.pass(lockMs - 2000)
      assert.equal(first.signal.aborted, false)
      await passUntil(under, () => deliveries.length === 2, 10_000)
      assert.equal(deliveries[1]?.deliveryCount, 2)
      assert.equal(first.signal.aborted, true)
      assert.ok(first.signal.reason instanceof LockLostError)
      await assert.rejects(first.complete(), LockLostError)
      await assert.rejects(first.deadLetter('poison', ''), LockLostError)
      release.resolve()
      await settle()
      assert.equal(deliveries.length, 2)
      assert.deepEqual(await queue.deadLetters(10), [])
    },
    'slow',
  )

  check(
    'a lock is renewed for as long as was asked for, and no longer',
    async (under) => {
      const { queue } = under
      await queue.send([messageOf()])
      const release = Promise.withResolvers<void>()
      const { deliveries } = take(
        queue,
        async (delivery) => {
          if (delivery.deliveryCount === 1) await release.promise
          else await delivery.complete()
        },
        { renewForMs: 3 * lockMs },
      )
      await until(() => deliveries.length === 1)
      for (let passedMs = 0; passedMs < 3 * lockMs; passedMs += 5000) await under.pass(5000)
      assert.equal(deliveries.length, 1)
      assert.equal(deliveries[0]?.signal.aborted, false)
      await passUntil(under, () => deliveries.length === 2, 2 * lockMs)
      assert.equal(deliveries[0]?.signal.aborted, true)
      release.resolve()
    },
    'slow',
  )

  check('a message that is never completed ends among the dead letters', async ({ queue }) => {
    const poison = messageOf('poison')
    await queue.send([poison])
    const { deliveries } = take(queue, (delivery) => delivery.abandon())
    await until(() => deliveries.length === maxDeliveries)
    await until(async () => (await queue.deadLetters(10)).length === 1)
    await settle()
    assert.equal(deliveries.length, maxDeliveries)
    assert.deepEqual(
      deliveries.map(({ deliveryCount }) => deliveryCount),
      Array.from({ length: maxDeliveries }, (_, n) => n + 1),
    )
    const [dead] = await queue.deadLetters(10)
    assert.equal(dead?.id, poison.id)
    assert.equal(dead?.body, 'poison')
    assert.equal(dead?.reason, 'MaxDeliveryCountExceeded')
    assert.equal(dead?.deliveryCount, maxDeliveries)
  })

  check(
    'a message that kills its worker every time ends there, too',
    async (under) => {
      const { queue } = under
      await queue.send([messageOf()])
      const never = Promise.withResolvers<void>()
      const { deliveries } = take(queue, () => never.promise, { concurrency: maxDeliveries + 1 })
      await passUntil(under, () => deliveries.length === maxDeliveries, maxDeliveries * 2 * lockMs)
      assert.deepEqual(await queue.deadLetters(10), [])
      for (let passedMs = 0; passedMs < 2 * lockMs; passedMs += 5000) await under.pass(5000)
      await until(async () => (await queue.deadLetters(10)).length === 1)
      assert.equal(deliveries.length, maxDeliveries)
      never.resolve()
    },
    'slow',
  )
}
