import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import type { DeadLetter } from '#platform/queue/queue.ts'
import { capturedLog } from '../../test/support/captured-log.ts'
import { manualClock } from '../../test/support/clock.ts'
import { lookAfterGivenUp } from './given-up.ts'

const MINUTE = 60_000
const settle = () => new Promise((resolve) => setImmediate(resolve))

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
