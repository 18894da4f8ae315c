import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../test/support/clock.ts'
import { Limiter } from './limiter.ts'

function setUp() {
  const clock = manualClock()
  const limiter = new Limiter(clock)
  const order: string[] = []
  const wait = (name: string, limit: number, signal = new AbortController().signal) =>
    limiter.wait(limit, 1000, signal).then((acquired) => {
      order.push(`${name} ${acquired}`)
      return acquired
    })
  return { clock, limiter, order, wait }
}

test('takes as many as the limit allows, lets as many wait, and turns the next away', async () => {
  const { limiter, wait } = setUp()
  assert.equal(limiter.tryAcquire(2), true)
  assert.equal(limiter.tryAcquire(2), true)
  assert.equal(limiter.tryAcquire(2), false)
  const waiting = [wait('a', 2), wait('b', 2)]
  assert.equal(limiter.queued, 2)
  assert.equal(await wait('c', 2), false)
  limiter.release()
  limiter.release()
  assert.deepEqual(await Promise.all(waiting), [true, true])
  assert.equal(limiter.active, 2)
  assert.equal(limiter.queued, 0)
})

test('first come, first served, and nobody overtakes', async () => {
  const { limiter, order, wait } = setUp()
  limiter.tryAcquire(1)
  const waiting = [wait('a', 3), wait('b', 3)]
  assert.equal(limiter.tryAcquire(3), false, 'a place is free, but others wait for it')
  limiter.release()
  await Promise.all(waiting)
  assert.deepEqual(order, ['a true', 'b true'])
})

test('whoever waits too long, or whose caller is gone, leaves the queue', async () => {
  const { clock, limiter, wait } = setUp()
  limiter.tryAcquire(1)
  const abort = new AbortController()
  const late = wait('late', 2)
  const gone = wait('gone', 2, abort.signal)
  abort.abort('left')
  await assert.rejects(gone, (reason) => reason === 'left')
  clock.advance(1000)
  assert.equal(await late, false)
  assert.equal(limiter.queued, 0)
  assert.equal(clock.pending, 0)
  limiter.release()
  assert.equal(limiter.active, 0)
})

test('each call brings its own limit', async () => {
  const { limiter, order, wait } = setUp()
  for (let call = 0; call < 3; call++) limiter.tryAcquire(3)
  const narrow = wait('narrow', 1)
  limiter.release()
  limiter.release()
  await Promise.resolve()
  assert.deepEqual(order, [], 'one is active still')
  limiter.release()
  assert.equal(await narrow, true)
  assert.equal(limiter.tryAcquire(Number.POSITIVE_INFINITY), true)
})
