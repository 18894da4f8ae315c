import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { LiveReading } from './live-reading.ts'
import { LiveTurn } from './live-turn.ts'
import type { TurnEvent } from './turn-events.ts'

let live: LiveTurn
let leaving: AbortController
/** After which positions somebody else had to go on. */
let onward: number[]
let closed: number

beforeEach(() => {
  live = new LiveTurn(0)
  leaving = new AbortController()
  onward = []
  closed = 0
})

const elsewhere: TurnEvent[] = [{ position: 9, type: 'turn.failed', data: 'elsewhere' }]

function reading(after = -1): LiveReading {
  return new LiveReading({
    live,
    after,
    signal: leaving.signal,
    wakeups: {
      change: (turn) => turn.change(),
      close: () => {
        closed += 1
      },
    },
    async *onward(from) {
      onward.push(from)
      yield elsewhere
    },
  })
}

const token = (position: number | undefined): TurnEvent => ({ position, type: 'token', data: `at ${position}` })
const end = (position: number): TurnEvent => ({ position, type: 'turn.completed', data: 'end' })

test('what comes is given as it comes, and nobody is asked once it has ended', async () => {
  const read = reading()
  live.push([token(0), token(1)])
  assert.deepEqual(await read.next(), { done: false, value: [token(0), token(1)] })
  const waiting = read.next()
  live.push([token(2)])
  assert.deepEqual(await waiting, { done: false, value: [token(2)] })
  live.push([end(3)])
  live.close()
  assert.deepEqual((await read.next()).value, [end(3)])
  assert.deepEqual(await read.next(), { done: true, value: undefined })
  assert.deepEqual(onward, [])
  assert.equal(closed, 1)
})

test('it begins after a position', async () => {
  live.push([token(0), token(1)])
  const waiting = reading(1).next()
  live.push([token(2)])
  assert.deepEqual((await waiting).value, [token(2)])
})

test('what the log has not, is for somebody else to give', async () => {
  live.push([token(0)])
  const read = reading()
  await read.next()
  const waiting = read.next()
  live.push([token(1), token(undefined)])
  assert.deepEqual((await waiting).value, elsewhere)
  assert.deepEqual(await read.next(), { done: true, value: undefined })
  assert.deepEqual(onward, [0])
})

test('what ends without its last event goes on elsewhere, and so does what is not in memory any more', async () => {
  live.push([token(0)])
  live.close()
  const read = reading()
  await read.next()
  assert.deepEqual((await read.next()).value, elsewhere)
  live = new LiveTurn(5)
  assert.deepEqual((await reading(1).next()).value, elsewhere)
  assert.deepEqual(onward, [0, 1])
})

test('who has left gets nothing more', async () => {
  live.push([token(0)])
  leaving.abort()
  assert.deepEqual(await reading().next(), { done: true, value: undefined })
  assert.deepEqual([onward, closed], [[], 1])
})

test('a reader that stops early lets go of everything', async () => {
  live.push([token(0), token(1)])
  const read = reading()
  for await (const batch of read) {
    assert.equal(batch.length, 2)
    break
  }
  assert.equal(closed, 1)
  assert.equal((await read.next()).done, true)
})
