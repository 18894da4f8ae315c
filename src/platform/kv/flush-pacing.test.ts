import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlushPacing } from './flush-pacing.ts'

function pacing(msPerFlush: number) {
  let nowMs = 0
  const made = new FlushPacing(() => nowMs)
  return {
    made,
    flush(times: number, calls: number) {
      for (let time = 0; time < times; time += 1) {
        nowMs += msPerFlush
        made.flushed(calls)
      }
    },
  }
}

test('flushes that come slowly are not held', () => {
  const { made, flush } = pacing(0.5)
  flush(1000, 1)
  assert.equal(made.delayMs, 0)
})

test('flushes that come fast are spaced after a window of them, not before', () => {
  const { made, flush } = pacing(0.4)
  flush(63, 1)
  assert.equal(made.delayMs, 0)
  flush(1, 1)
  assert.equal(made.delayMs, 2)
})

test('spacing lasts as long as it gathers calls', () => {
  const { made, flush } = pacing(0.1)
  flush(64, 1)
  flush(10, 8)
  assert.equal(made.delayMs, 2)
  flush(1, 7)
  assert.equal(made.delayMs, 0)
})
