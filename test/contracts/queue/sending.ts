import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { QueueMessage, ScheduledHandle } from '#platform/queue/queue.ts'
import { type Check, duplicateWindowMs, messageOf, messages, settle, take, until } from './under-test.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** What is sent arrives, once; what is scheduled, when it is due. */
export function sending(check: Check): void {
  check('what is sent is delivered as it was', async ({ queue }) => {
    const sent: QueueMessage[] = [
      { id: randomUUID(), body: '{"text":"grüße 🎈\\u0000"}', traceparent },
      { id: ` ~${randomUUID()}`, body: '' },
      { id: randomUUID(), body: '\n"quoted" \u{1f469}\u200d\u{1f680}' },
    ]
    assert.equal(queue.reachable, true)
    await queue.send(sent)
    const { deliveries } = take(queue)
    await until(() => deliveries.length === 3)
    const received = deliveries.map(({ id, body, traceparent: trace }) => ({
      id,
      body,
      ...(trace && { traceparent: trace }),
    }))
    const byId = (a: QueueMessage, b: QueueMessage) => (a.id < b.id ? -1 : 1)
    assert.deepEqual(received.sort(byId), sent.sort(byId))
    assert.deepEqual(
      deliveries.map(({ deliveryCount }) => deliveryCount),
      [1, 1, 1],
    )
  })

  check('calls of one tick and calls of many all arrive, each once', async ({ queue }) => {
    const sent = Array.from({ length: 30 }, () => messages(10))
    const { deliveries } = take(queue)
    await Promise.all(sent.map((some) => queue.send(some)))
    for (let n = 0; n < 20; n++) {
      const one = [messageOf()]
      sent.push(one)
      await queue.send(one)
    }
    await queue.send([])
    await until(() => deliveries.length >= 320)
    await settle()
    assert.deepEqual(
      deliveries.map(({ id }) => id).sort(),
      sent
        .flat()
        .map(({ id }) => id)
        .sort(),
    )
  })

  check(
    'a repeated id is swallowed within the window, and counts again after it',
    async ({ queue, pass }) => {
      const { deliveries } = take(queue)
      const first = messageOf('first')
      await queue.send([first, { ...first, body: 'repeated at once' }])
      await until(() => deliveries.length === 1)
      await queue.send([{ ...first, body: 'repeated after it was completed' }])
      await pass(duplicateWindowMs - 2000)
      await queue.send([{ ...first, body: 'repeated late' }])
      await queue.schedule([{ ...first, body: 'repeated and scheduled' }], 0)
      await settle()
      assert.deepEqual(
        deliveries.map(({ body }) => body),
        ['first'],
      )
      await pass(2001)
      await queue.send([{ ...first, body: 'new again' }])
      await until(() => deliveries.length === 2)
      assert.equal(deliveries[1]?.body, 'new again')
    },
    'slow',
  )

  check(
    'what is scheduled is invisible until it is due',
    async ({ queue, now, pass }) => {
      const { deliveries } = take(queue)
      const [later, soon] = [messageOf('later'), messageOf('soon')]
      const dueAt = now()
      const handles = [
        ...(await queue.schedule([later], dueAt + 60_000)),
        ...(await queue.schedule([soon], dueAt + 4000)),
      ]
      assert.equal(new Set(handles).size, 2)
      await pass(3000)
      await settle()
      assert.equal(deliveries.length, 0)
      await pass(1500)
      await until(() => deliveries.length === 1)
      assert.equal(deliveries[0]?.id, soon.id)
      await settle()
      await pass(60_000)
      await until(() => deliveries.length === 2)
      assert.equal(deliveries[1]?.id, later.id)
      assert.equal(deliveries[1]?.deliveryCount, 1)
    },
    'slow',
  )

  check('what is scheduled for the past comes at once', async ({ queue }) => {
    const { deliveries } = take(queue)
    const late = messageOf()
    assert.equal((await queue.schedule([late, messageOf()], 0)).length, 2)
    assert.deepEqual(await queue.schedule([], 0), [])
    await until(() => deliveries.length === 2)
    assert.ok(deliveries.some(({ id }) => id === late.id))
  })

  check('what is called off never comes; what came, or never was, is passed over', async ({ queue, now, pass }) => {
    const at = now() + 3000
    const [off, kept, alsoOff] = [messageOf('off'), messageOf('kept'), messageOf('also off')]
    const handles = await queue.schedule([off, kept, alsoOff], at)
    const called = handles.filter((_, n) => n !== 1)
    await queue.cancel(called)
    await queue.cancel(['987654321' as ScheduledHandle, ...called])
    await queue.cancel([])
    const { deliveries } = take(queue)
    await pass(4000)
    await until(() => deliveries.length === 1)
    await queue.cancel(handles)
    await settle()
    assert.deepEqual(
      deliveries.map(({ id }) => id),
      [kept.id],
    )
  })
}
