import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type Queue, queueLimits } from '#platform/queue/queue.ts'
import { type Check, messageOf, messages, take, until } from './under-test.ts'

/** What can never succeed is kept until somebody takes it out. */
export function deadLetters(check: Check): void {
  check('a dead letter says what it was, why, and since when', async ({ queue }) => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
    const poison = { ...messageOf('the body'), traceparent }
    await queue.send([poison])
    await bury(queue, 1, 'invalid_arguments', 'schön kaputt')
    const [dead, ...others] = await queue.deadLetters(100)
    assert.ok(dead)
    assert.equal(others.length, 0)
    const { enqueuedAt, ...rest } = dead
    assert.deepEqual(rest, {
      ...poison,
      ...{ reason: 'invalid_arguments', description: 'schön kaputt', deliveryCount: 1 },
    })
    assert.ok(Number.isSafeInteger(enqueuedAt) && enqueuedAt > Date.UTC(2020, 0))
  })

  check('dead letters are listed oldest first, as many as asked for', async ({ queue }) => {
    const sent = messages(7)
    for (const message of sent) await queue.send([message])
    await bury(queue, 7)
    const ids = sent.map(({ id }) => id)
    assert.deepEqual(
      (await queue.deadLetters(100)).map(({ id }) => id),
      ids,
    )
    assert.deepEqual(
      (await queue.deadLetters(3)).map(({ id }) => id),
      ids.slice(0, 3),
    )
    for (const [limit, skip] of [
      [3, 2],
      [100, 6],
      [1, 7],
    ] as const) {
      const page = (await queue.deadLetters(limit, skip)).map(({ id }) => id)
      assert.deepEqual(page, ids.slice(skip, skip + limit))
    }
    for (const skip of [-1, 0.5, queueLimits.deadLettersSkipped + 1]) {
      await assert.rejects(queue.deadLetters(1, skip), RangeError)
    }
  })

  check('those taken out are gone, the others stay', async ({ queue }) => {
    const sent = messages(6)
    for (const message of sent) await queue.send([message])
    await bury(queue, 6)
    const [first, second, third, fourth, fifth, sixth] = sent.map(({ id }) => id)
    assert.ok(first && second && third && fourth && fifth && sixth)
    assert.deepEqual(await queue.removeDeadLetters([fifth, randomUUID(), second]), [true, false, true])
    assert.deepEqual(
      (await queue.deadLetters(100)).map(({ id }) => id),
      [first, third, fourth, sixth],
    )
    assert.deepEqual(await queue.removeDeadLetters([second]), [false])
    assert.deepEqual(await queue.removeDeadLetters([]), [])
    const both = await Promise.all([queue.removeDeadLetters([first, sixth]), queue.removeDeadLetters([third, first])])
    assert.deepEqual(both, [
      [true, true],
      [true, false],
    ])
    assert.deepEqual(
      (await queue.deadLetters(100)).map(({ id }) => id),
      [fourth],
    )
  })

  check('one can be replayed under a new id while it is taken out', async ({ queue }) => {
    const poison = messageOf('again')
    await queue.send([poison])
    await bury(queue, 1)
    await queue.send([{ ...poison, id: randomUUID() }])
    assert.deepEqual(await queue.removeDeadLetters([poison.id]), [true])
    const { deliveries } = take(queue)
    await until(() => deliveries.length === 1)
    assert.equal(deliveries[0]?.body, 'again')
    assert.deepEqual(await queue.deadLetters(1), [])
  })
}

async function bury(queue: Queue, count: number, reason = 'poison', description = ''): Promise<void> {
  const { deliveries, receiver } = take(queue, (delivery) => delivery.deadLetter(reason, description))
  await until(() => deliveries.length === count)
  await receiver.stop(5000)
}
