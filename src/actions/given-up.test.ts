import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import type { DeadLetter } from '#platform/queue/queue.ts'
import { capturedLog } from '../../test/support/captured-log.ts'
import { manualClock } from '../../test/support/clock.ts'
import { lookAfterGivenUp, lookAtGivenUp } from './given-up.ts'

const MINUTE = 60_000
const settle = () => new Promise((resolve) => setImmediate(resolve))

test('however many of other programs lie before them, those of runs are taken out', async () => {
  const run = `run_${'0'.repeat(32)}`
  const letterOf = (id: string, body: string): DeadLetter => ({
    ...{ id, body, reason: 'MaxDeliveryCountExceeded', description: '' },
    ...{ deliveryCount: 10, enqueuedAt: 1 },
  })
  const others = Array.from({ length: 150 }, (_, at) => letterOf(`other-${at}`, '{"order":66}'))
  const ours = ['a', 'b'].map((id) => letterOf(id, JSON.stringify({ run, attempt: 0 })))
  const [first, last] = ours
  assert.ok(first && last)
  let lying = [first, ...others, last]
  const queue = {
    reachable: true,
    deadLetters: async (limit: number, skip = 0) => lying.slice(skip, skip + limit),
    async removeDeadLetters(ids: readonly string[]) {
      lying = lying.filter(({ id }) => !ids.includes(id))
      return ids.map(() => true)
    },
  }
  const { log, lines } = capturedLog()
  const staying = await lookAtGivenUp(queue, log, new Set())
  assert.deepEqual([lying, staying], [others, new Set(others.map(({ id }) => id))])
  assert.equal(lines.filter(({ message }) => message !== undefined).length, 150)
  assert.deepEqual(await lookAtGivenUp(queue, log, staying), staying)
  assert.equal(lines.filter(({ message }) => message !== undefined).length, 150)
})

test('the broker is looked at every minute, also after a failure, and not while it is away; stopped, no more', async () => {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const letter: DeadLetter = {
    ...{ id: 'm-1', body: 'nonsense', reason: 'bad_message', description: '' },
    ...{ deliveryCount: 1, enqueuedAt: 1 },
  }
  let looks = 0
  let isAway = false
  const queue = {
    reachable: true,
    async deadLetters() {
      looks += 1
      if (isAway) throw new ParleyError('queue_unavailable')
      return [letter]
    },
    removeDeadLetters: () => Promise.reject(new Error('Nothing of ours is there.')),
  }
  const stop = lookAfterGivenUp({ queue, clock, log, random: () => 0.5 })
  const pass = async (ms: number) => {
    clock.advance(ms)
    await settle()
    return looks
  }
  assert.deepEqual([await pass(MINUTE / 2 - 1), await pass(1), await pass(MINUTE - 1), await pass(1)], [0, 1, 1, 2])
  isAway = true
  assert.equal(await pass(MINUTE), 3)
  queue.reachable = false
  assert.equal(await pass(MINUTE), 3)
  Object.assign(queue, { reachable: true })
  isAway = false
  assert.equal(await pass(MINUTE), 4)
  assert.deepEqual(
    lines.map(({ msg, message }) => [msg, message]),
    [
      ['A message that names no run lies among the dead letters', 'm-1'],
      ['Messages that the broker gave up could not be looked at', undefined],
    ],
  )
  await stop()
  assert.equal(await pass(2 * MINUTE), 4)
})
