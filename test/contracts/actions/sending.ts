import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Executor, PassingError } from '../../../src/actions/executors/executor.ts'
import { lookAtGivenUp, readGivenUp } from '../../../src/actions/given-up.ts'
import { dueRuns } from '../../../src/actions/runs/reads.ts'
import { ParleyError } from '../../../src/errors.ts'
import type { Delivery, Queue, QueueMessage } from '../../../src/platform/queue/queue.ts'
import { actionSpec, callOf, deafQueue, type Ground, settledRun, until, versionOf } from '../../support/runs-at-hand.ts'

const plain = { do_it: actionSpec('do') }

/** Between the row and the broker. */
export function sendingSuite(ground: () => Ground): void {
  describe('sending for runs', () => {
    const overdue = (id: string) => ground().sql.query('system', 'UPDATE runs SET due_at = 1 WHERE id = $1', [id])

    test('a crash between row and queue: the run is sent for again', async () => {
      const silently = async () => {
        await using silent = ground().actions({ actions: plain, works: false, queue: deafQueue(ground().queue) })
        return silent.dispatch(callOf(versionOf(plain), 'do_it'))
      }
      const run = await silently()
      await overdue(run.id)
      const due = await dueRuns(ground().sql, Date.now(), 1000, [])
      assert.equal(due.map(({ id }) => id).includes(run.id), false, 'it is for takeUnsent alone, under the same id')
      await using actions = ground().actions({ actions: plain, functions: { do: () => 'done' } })
      assert.equal((await settledRun(actions, run)).output, '"done"')
    })

    test('it is sent for within seconds, and what was sent already is not delivered twice for that', async () => {
      const { queue, sql } = ground()
      const sent: QueueMessage[] = []
      const counted: Queue = {
        ...deafQueue(queue),
        send: (messages) => {
          sent.push(...messages)
          return queue.send(messages)
        },
      }
      const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
      await using asking = ground().actions({ actions: plain, works: false, queue: counted })
      const run = await asking.dispatch(callOf(versionOf(plain), 'do_it', { traceparent }))
      const rowOf = async () => {
        const text = 'SELECT due_at - created_at AS "dueMs", sent_again AS "sentAgain", version FROM runs WHERE id = $1'
        const [row] = await sql.query<{ dueMs: number; sentAgain: number | null; version: number }>('system', text, [
          run.id,
        ])
        return row
      }
      assert.deepEqual(await rowOf(), { dueMs: 5000, sentAgain: null, version: 1 })
      await overdue(run.id)
      await until(async () => (await rowOf())?.sentAgain === 1)
      assert.ok(Number((await rowOf())?.dueMs) >= 60_000)
      await until(() => sent.length === 2)
      // Run, attempt and trace: what is asked, and for whom, is in the row alone.
      const message = { id: `${run.id}:0:1`, body: JSON.stringify({ run: run.id, attempt: 0 }), traceparent }
      assert.deepEqual(sent, [message, message])

      const delivered: string[] = []
      const heard: Queue = {
        ...deafQueue(queue),
        send: (messages) => queue.send(messages),
        receive: (handler, options) =>
          queue.receive((delivery) => {
            delivered.push(delivery.id)
            return handler(delivery)
          }, options),
      }
      await using working = ground().actions({ actions: plain, functions: { do: () => 'once' }, queue: heard })
      assert.equal((await settledRun(working, run)).output, '"once"')
      const marker = await working.dispatch(callOf(versionOf(plain), 'do_it'))
      await settledRun(working, marker)
      assert.deepEqual(
        delivered.filter((id) => id.startsWith(run.id)),
        [`${run.id}:0:1`],
      )
    })

    test('the next attempt is scheduled, under another id, before the message of this one is completed', async () => {
      const { queue } = ground()
      const course: string[] = []
      let renewForMs = 0
      const heard: Queue = {
        ...deafQueue(queue),
        send: (messages) => queue.send(messages),
        schedule: async (messages, at) => {
          const handles = await queue.schedule(messages, at)
          course.push(...messages.map(({ id }) => `scheduled ${id}`))
          return handles
        },
        receive: (handler, options) => {
          renewForMs = options.renewForMs
          return queue.receive(async (delivery) => {
            const complete = () => delivery.complete().then(() => void course.push(`completed ${delivery.id}`))
            const { id, body, deliveryCount, signal } = delivery
            const abandon = () => delivery.abandon()
            const deadLetter = (...why: Parameters<Delivery['deadLetter']>) => delivery.deadLetter(...why)
            await handler({ id, body, deliveryCount, signal, complete, abandon, deadLetter })
          }, options)
        },
      }
      const executor: Executor = (_, { attempt }) => {
        if (attempt === 1) throw new PassingError('Busy.', { reason: 'server_error' })
        return 'done'
      }
      await using actions = ground().actions({ actions: plain, functions: { do: executor }, queue: heard })
      const run = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
      assert.equal((await settledRun(actions, run)).status, 'succeeded')
      const ofRun = () => course.filter((step) => step.includes(run.id))
      await until(() => ofRun().length === 3)
      assert.deepEqual(ofRun(), [`scheduled ${run.id}:1:3`, `completed ${run.id}:0:1`, `completed ${run.id}:1:3`])
      // Ten minutes are the most that an attempt may take.
      assert.ok(renewForMs > 600_000, `${renewForMs} ms`)
    })

    test('as long as the broker is away nothing is sent for again', async () => {
      let sends = 0
      let reachable = false
      const { queue } = ground()
      const away: Queue = {
        ...deafQueue(queue),
        get reachable() {
          return reachable
        },
        send: async (messages) => {
          sends += 1
          if (!reachable) throw new ParleyError('queue_unavailable')
          await queue.send(messages)
        },
        receive: (handler, options) => queue.receive(handler, options),
      }
      await using actions = ground().actions({ actions: plain, functions: { do: () => 'back' }, queue: away })
      const run = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
      await overdue(run.id)
      // Its own approval expires in the same sweeps, so that it is known that they happened.
      const held = { do_it: actionSpec('do', { approval: {} }) }
      await using asking = ground().actions({ actions: held, works: false, queue: away })
      const pending = await asking.dispatch(callOf(versionOf(held), 'do_it'))
      await overdue(pending.id)
      assert.equal((await settledRun(asking, pending)).status, 'expired')
      assert.equal(sends, 1)
      reachable = true
      assert.equal((await settledRun(actions, run)).output, '"back"')
    })

    test('with the broker away runs are accepted and kept; when it is back they are executed', async () => {
      const { queue } = ground()
      let away = true
      const flaky: Queue = {
        ...deafQueue(queue),
        get reachable() {
          return !away
        },
        send: (messages) => (away ? Promise.reject(new ParleyError('queue_unavailable')) : queue.send(messages)),
        schedule: (messages, at) => queue.schedule(messages, at),
        receive: (handler, options) => queue.receive(handler, options),
      }
      await using actions = ground().actions({ actions: plain, functions: { do: () => 'late' }, queue: flaky })
      const runs = await Promise.all([0, 1, 2].map(() => actions.dispatch(callOf(versionOf(plain), 'do_it'))))
      assert.deepEqual(
        runs.map(({ status }) => status),
        ['queued', 'queued', 'queued'],
      )
      away = false
      for (const run of runs) assert.equal((await settledRun(actions, run)).output, '"late"')
    })

    test('what the broker gave up of runs is taken out, for their rows see to them; the rest stays, and is told of once', async () => {
      const { queue, log, lines } = ground()
      const silent = ground().actions({ actions: plain, works: false, queue: deafQueue(queue) })
      const run = await silent.dispatch(callOf(versionOf(plain), 'do_it'))
      await silent.drain(0)
      const foreign = `foreign-${run.id}`
      const receiver = queue.receive((delivery) => delivery.deadLetter('MaxDeliveryCountExceeded', 'Ten times.'), {
        ...{ concurrency: 2, renewForMs: 0 },
      })
      await queue.send([
        { id: `given-up-${run.id}`, body: JSON.stringify({ run: run.id, attempt: 0 }) },
        { id: foreign, body: '{"order":66}' },
      ])
      const left = async () => (await queue.deadLetters(100)).map(({ id }) => id)
      const both = [`given-up-${run.id}`, foreign]
      await until(async () => new Set(both).isSubsetOf(new Set(await left())))
      await receiver.stop(1000)
      const now = Date.now()
      const [figure] = await readGivenUp(queue, now)
      assert.ok(figure && figure.count >= 2 && figure.oldestAgeMs >= 0 && figure.oldestAgeMs < now)
      assert.deepEqual(await readGivenUp({ ...deafQueue(queue), reachable: false }, now), [])
      const known = await lookAtGivenUp(queue, log, new Set())
      assert.equal((await readGivenUp(queue, now))[0]?.count, known.size)
      assert.ok(known.has(foreign))
      assert.deepEqual(new Set(await left()), known)
      await lookAtGivenUp(queue, log, known)
      const told = lines.filter(({ message }) => message === foreign)
      assert.deepEqual(
        told.map(({ msg, reason }) => [msg, reason]),
        [['A message that names no run lies among the dead letters', 'MaxDeliveryCountExceeded']],
      )
      await overdue(run.id)
      const due = await dueRuns(ground().sql, Date.now(), 1000, [])
      assert.equal(due.map(({ id }) => id).includes(run.id), false, 'it is for takeUnsent alone, under the same id')
      await using actions = ground().actions({ actions: plain, functions: { do: () => 'done' } })
      assert.equal((await settledRun(actions, run)).output, '"done"')
    })
  })
}
