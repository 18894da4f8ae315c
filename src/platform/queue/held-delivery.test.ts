import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { manualClock } from '../../../test/support/clock.ts'
import { HeldDelivery } from './held-delivery.ts'
import { unavailable } from './limits.ts'
import { LockLostError } from './queue.ts'

const lockMs = 30_000

/** A delivery whose broker answers when it is told to. */
function heldDelivery() {
  const clock = manualClock()
  const asked: { what: string; answer: PromiseWithResolvers<void> }[] = []
  const ask = (what: string) => {
    const answer = Promise.withResolvers<void>()
    asked.push({ what, answer })
    return answer.promise
  }
  const lock = {
    complete: () => ask('complete'),
    abandon: () => ask('abandon'),
    deadLetter: () => ask('dead-letter'),
    renew: () => ask('renew').then(() => clock.now() + lockMs),
  }
  const locked = { message: { id: 'id', body: '' }, deliveryCount: 1, lockedUntil: clock.now() + lockMs, lock }
  return { clock, asked, delivery: new HeldDelivery(locked, clock, 10 * lockMs) }
}

test('whoever takes it away waits until nothing settles any more, however often that fails', async () => {
  const { asked, delivery } = heldDelivery()
  const first = delivery.complete()
  const ending = delivery.end()
  const takenAway = delivery.giveBack()
  let isTakenAway = false
  void takenAway.then(() => {
    isTakenAway = true
  })
  asked[0]?.answer.reject(unavailable('away'))
  await assert.rejects(first, { code: 'queue_unavailable' })
  await setImmediate()
  assert.deepEqual(
    asked.map(({ what }) => what),
    ['complete', 'abandon'],
  )
  assert.equal(isTakenAway, false)
  asked[1]?.answer.resolve()
  await Promise.all([ending, takenAway])
  assert.equal(asked.length, 2)
})

test('a renewal that comes after the settlement that is under way does not make it lost', async () => {
  const { clock, asked, delivery } = heldDelivery()
  const { signal } = delivery
  clock.advance(lockMs / 2)
  const completing = delivery.complete()
  const [renewal, completion] = asked
  assert.deepEqual([renewal?.what, completion?.what], ['renew', 'complete'])
  renewal?.answer.reject(new LockLostError())
  await setImmediate()
  assert.equal(signal.aborted, false)
  completion?.answer.resolve()
  await completing
  assert.equal(signal.aborted, false)
  assert.equal(clock.pending, 0)
})

test('a renewal that is refused while nothing settles makes it lost', async () => {
  const { clock, asked, delivery } = heldDelivery()
  const { signal } = delivery
  clock.advance(lockMs / 2)
  asked[0]?.answer.reject(new LockLostError())
  await setImmediate()
  assert.equal(signal.aborted, true)
  await assert.rejects(delivery.complete(), LockLostError)
  assert.equal(clock.pending, 0)
})
