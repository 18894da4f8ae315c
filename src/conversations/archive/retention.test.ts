import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { startRetention } from './retention.ts'

const HOUR = 60 * 60_000

test('what is past its time goes step by step, then every hour, also after a failure; stopped, nothing more', async () => {
  const clock = manualClock()
  const befores: number[] = []
  const answers: (number | Error)[] = [1000, 3, 0, new Error('away'), 0]
  const archive = {
    prune: async (before: number) => {
      befores.push(clock.now() - before)
      const answer = answers.shift() ?? 0
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  const stop = startRetention({ archive, clock, log: capturedLog().log, keepMs: 5 * HOUR })
  for (const [passMs, prunings] of [
    [200, 1],
    [200, 2],
    [200, 3],
    [HOUR - 1, 3],
    [1, 4],
    [HOUR, 5],
  ] as const) {
    clock.advance(passMs)
    await settle()
    assert.equal(befores.length, prunings)
  }
  assert.deepEqual([...new Set(befores)], [5 * HOUR])
  await stop()
  clock.advance(2 * HOUR)
  assert.equal(befores.length, 5)
})
