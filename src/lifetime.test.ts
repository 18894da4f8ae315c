import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capturedLog } from '../test/support/captured-log.ts'
import { manualClock } from '../test/support/clock.ts'
import { Lifetime } from './lifetime.ts'

function lifetimeAtHand() {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const closed: string[] = []
  const lifetime = new Lifetime({ clock, log, partMs: 1000 })
  const part = (name: string, close: () => unknown = () => {}) =>
    lifetime.defer(name, () => {
      closed.push(name)
      return close()
    })
  return { clock, lines, closed, lifetime, part }
}

const never = () => new Promise<void>(() => {})
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('parts are closed in reverse order, one after the other, once; which took longest is logged', async () => {
  const { clock, lines, closed, lifetime, part } = lifetimeAtHand()
  const slow = Promise.withResolvers<void>()
  part('first')
  part('second', () => slow.promise)
  part('third')
  const closing = lifetime.close()
  await turn()
  assert.deepEqual(closed, ['third', 'second'])
  clock.advance(999)
  slow.resolve()
  await closing
  assert.deepEqual(closed, ['third', 'second', 'first'])
  assert.deepEqual(lines, [{ level: 30, slowest: 'second', ms: 999, msg: 'The process has stopped' }])
  await lifetime.close()
  assert.equal(closed.length, 3)
  assert.equal(clock.pending, 0)
})

test('a part that hangs is left after its time, one that fails at once, and the others are closed', async () => {
  const { clock, lines, closed, lifetime, part } = lifetimeAtHand()
  part('first')
  part('hangs', never)
  part('throws', () => {
    throw new Error('broken')
  })
  part('rejects', () => Promise.reject(new Error('broken')))
  const closing = assert.rejects(lifetime.close(), /^Error: not closed: rejects, throws, hangs$/)
  await turn()
  clock.advance(1000)
  await closing
  assert.deepEqual(closed, ['rejects', 'throws', 'hangs', 'first'])
  const told = lines.map(({ level, part, msg, err }) => [level, part, msg, (err as Error).message])
  const msg = 'A part of the process could not be closed'
  assert.deepEqual(told, [
    [50, 'rejects', msg, 'broken'],
    [50, 'throws', msg, 'broken'],
    [50, 'hangs', msg, 'not closed within 1000 ms'],
  ])
})

test('a step may have a time of its own, does not reject, and counts in the end', async () => {
  const { clock, closed, lifetime, part } = lifetimeAtHand()
  part('first')
  const step = lifetime.end('step', never, 5000)
  clock.advance(4999)
  await turn()
  const settled = step.then(() => 'over')
  assert.equal(await Promise.race([settled, turn().then(() => 'waits')]), 'waits')
  clock.advance(1)
  assert.equal(await settled, 'over')
  await assert.rejects(lifetime.close(), /not closed: step/)
  assert.deepEqual(closed, ['first'])
})

test('what is moved is closed by the other; what could not be opened whole is closed without hiding why', async () => {
  const { lines, closed, lifetime, part } = lifetimeAtHand()
  part('first')
  const moved = lifetime.move()
  await lifetime.close()
  assert.deepEqual(closed, [])
  await moved.close()
  assert.deepEqual(closed, ['first'])

  const open = async () => {
    await using opened = lifetime
    opened.use('second', { [Symbol.asyncDispose]: () => Promise.reject(new Error('broken')) })
    throw new Error('cannot be opened')
  }
  await assert.rejects(open(), /^Error: cannot be opened$/)
  assert.equal(lines.at(-1)?.part, 'second')
})
