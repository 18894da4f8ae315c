import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type Queue, type QueueMessage, queueLimits } from '#platform/queue/queue.ts'
import { type Check, messageOf, messages, take, until } from './under-test.ts'

/** Each limit at its edge and one past it. */
export function limits(check: Check): void {
  check('sizes and counts of what is sent hold at the edge and refuse one past it', async ({ queue }) => {
    const { deliveries } = take(queue)
    const longest = randomUUID().padEnd(queueLimits.idLength, '~')
    // Control characters would be the dearest in JSON, three-byte characters in UTF-8.
    const edges = ['\u0001'.repeat(queueLimits.bodyBytes), `${'€'.repeat(queueLimits.bodyBytes / 3)}x`]
    const sent = [{ id: longest, body: '' }, ...edges.map((body) => messageOf(body)), messageOf('x'.repeat(65_536))]
    await queue.send(sent)
    await until(() => deliveries.length === sent.length)
    assert.deepEqual(
      deliveries.map(({ id, body }) => `${id} ${body}`).sort(),
      sent.map(({ id, body }) => `${id} ${body}`).sort(),
    )
    const past: QueueMessage[] = [
      { id: `${longest}~`, body: '' },
      { id: '', body: '' },
      { id: 'ä', body: '' },
      { id: 'a\n', body: '' },
      messageOf(`${'\u0001'.repeat(queueLimits.bodyBytes)}x`),
      messageOf(`${'€'.repeat(queueLimits.bodyBytes / 3)}xx`),
      { ...messageOf(), traceparent: 'nonsense' },
    ]
    for (const message of past) {
      await assert.rejects(queue.send([messageOf(), message]), RangeError)
      await assert.rejects(queue.schedule([message], 0), RangeError)
    }
    for (const at of [-1, 1.5, Number.NaN]) await assert.rejects(queue.schedule([messageOf()], at), RangeError)
  })

  check('as many messages as a call may have, and not one more', async ({ queue }) => {
    const { deliveries } = take(queue, undefined, { concurrency: 200 })
    const sent = messages(queueLimits.messagesPerCall)
    await queue.send(sent)
    await until(() => deliveries.length === sent.length)
    const scheduled = messages(queueLimits.messagesPerCall)
    assert.equal(new Set(await queue.schedule(scheduled, 0)).size, scheduled.length)
    await until(() => deliveries.length === 2 * sent.length)
    const past = messages(queueLimits.messagesPerCall + 1)
    await assert.rejects(queue.send(past), RangeError)
    await assert.rejects(queue.schedule(past, 0), RangeError)
  })

  check('large messages of one call leave in as many batches as it takes', async ({ queue }) => {
    const { deliveries } = take(queue)
    const sent = Array.from({ length: 24 }, (_, n) => messageOf(String(n).padEnd(queueLimits.bodyBytes, '.')))
    await queue.send(sent)
    await queue.schedule(
      sent.map(({ body }) => messageOf(body)),
      0,
    )
    await until(() => deliveries.length === 48)
    assert.equal(new Set(deliveries.map(({ body }) => body)).size, 24)
  })

  check('reasons, descriptions and lists hold at the edge and refuse one past it', async ({ queue }) => {
    const [reason, description] = ['r'.repeat(128), 'ä'.repeat(1024)]
    await queue.send([messageOf()])
    const { deliveries, receiver } = take(queue, async (delivery) => {
      for (const wrong of [`${reason}r`, '', 'ä']) await assert.rejects(delivery.deadLetter(wrong, ''), RangeError)
      await assert.rejects(delivery.deadLetter(reason, `${description}ä`), RangeError)
      await delivery.deadLetter(reason, description)
    })
    await until(() => deliveries.length === 1)
    await receiver.stop(5000)
    const [dead] = await queue.deadLetters(queueLimits.deadLettersPerCall)
    assert.deepEqual([dead?.reason, dead?.description], [reason, description])
    for (const limit of [0, queueLimits.deadLettersPerCall + 1, 1.5]) {
      await assert.rejects(queue.deadLetters(limit), RangeError)
    }
    const ids = Array.from({ length: queueLimits.deadLettersPerCall + 1 }, () => randomUUID())
    await assert.rejects(queue.removeDeadLetters(ids), RangeError)
    assert.equal((await queue.removeDeadLetters(ids.slice(1))).length, queueLimits.deadLettersPerCall)
    receivingLimits(queue)
  })
}

function receivingLimits(queue: Queue): void {
  for (const concurrency of [0, 1001, 1.5]) assert.throws(() => take(queue, undefined, { concurrency }), RangeError)
  for (const renewForMs of [-1, Number.NaN]) assert.throws(() => take(queue, undefined, { renewForMs }), RangeError)
  assert.ok(take(queue, undefined, { concurrency: 1000, renewForMs: 0 }))
}
