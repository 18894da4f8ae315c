import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommitPacing } from './sqlite-pacing.ts'

function pacing(msPerCommit: number) {
  let nowMs = 0
  const made = new CommitPacing(() => nowMs)
  return {
    made,
    commit(times: number, calls: number) {
      for (let time = 0; time < times; time += 1) {
        nowMs += msPerCommit
        made.committed(calls)
      }
    },
  }
}

test('commits that come slowly are not held', () => {
  const { made, commit } = pacing(0.5)
  commit(1000, 1)
  assert.equal(made.delayMs, 0)
})

test('commits that come fast are spaced after a window of them, not before', () => {
  const { made, commit } = pacing(0.4)
  commit(63, 1)
  assert.equal(made.delayMs, 0)
  commit(1, 1)
  assert.equal(made.delayMs, 2)
})

test('spacing lasts as long as it gathers calls', () => {
  const { made, commit } = pacing(0.1)
  commit(64, 1)
  commit(10, 8)
  assert.equal(made.delayMs, 2)
  commit(1, 7)
  assert.equal(made.delayMs, 0)
})
