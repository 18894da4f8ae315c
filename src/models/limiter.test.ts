import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../test/support/clock.ts'
import { Limiter } from './limiter.ts'

function setUp() {
  const clock = manualClock()
  const limiter = new Limiter(clock)
  const order: string[] = []
  const wait = (name: string, limit: number, signal = new AbortController().signal, tenant = '', queue = limit) =>
    limiter.wait({ limit, queue, tenant }, 1000, signal).then((acquired) => {
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

test('tenants take turns, and the calls of one are served as they came', async () => {
  const { limiter, order, wait } = setUp()
  limiter.tryAcquire(1)
  const { signal } = new AbortController()
  const waiting = [
    ...['a1', 'a2', 'a3', 'a4'].map((name) => wait(name, 1, signal, 'a', 10)),
    wait('b1', 1, signal, 'b', 10),
    wait('c1', 1, signal, 'c', 10),
    wait('b2', 1, signal, 'b', 10),
  ]
  for (const _ of waiting) {
    limiter.release()
    await Promise.resolve()
  }
  await Promise.all(waiting)
  assert.deepEqual(
    order.map((line) => line.split(' ')[0]),
    ['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4'],
  )
  assert.equal(limiter.active, 1)
})

test('in a full queue whoever has the most makes room for who has fewer', async () => {
  const { limiter, order, wait } = setUp()
  limiter.tryAcquire(1)
  const { signal } = new AbortController()
  const as = ['a1', 'a2', 'a3'].map((name) => wait(name, 1, signal, 'a', 3))
  const b1 = wait('b1', 1, signal, 'b', 3)
  assert.equal(await as[2], false, 'the last that came of a')
  assert.equal(await wait('a4', 1, signal, 'a', 3), false)
  assert.equal(await wait('b2', 1, signal, 'b', 3), false, 'both would have as many')
  assert.equal(limiter.queued, 3)
  for (let n = 0; n < 3; n++) limiter.release()
  assert.deepEqual(await Promise.all([as[0], as[1], b1]), [true, true, true])
  assert.deepEqual(order.slice(-3), ['a1 true', 'b1 true', 'a2 true'])
})
