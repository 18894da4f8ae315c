import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { type Attempted, type AttemptFacts, consequenceOf, retryDelayMs } from './attempt-outcome.ts'
import { AnswerLostError, CorrectableError, IdentityNeeded, PassingError } from './executors/executor.ts'

const facts = (change: Partial<AttemptFacts> = {}): AttemptFacts => ({
  ...{
    attempt: 1,
    maxAttempts: 3,
    once: false,
    began: false,
    heldSince: null,
    userMissingSince: null,
    now: 1000,
    random: 1,
  },
  ...change,
})
const thrown = (error: unknown, timedOut = false): Attempted => ({ thrown: error, timedOut })
const busy = (more: { untouched?: boolean; retryAfterMs?: number } = {}) =>
  thrown(new PassingError('Busy.', { reason: 'server_error', ...more }))

const shut = thrown(new ParleyError('sealed_unreadable'))
const gone: Attempted = { away: 'blob_unavailable' }
const DAY = 24 * 60 * 60_000
const tooMuch: Attempted = { result: 'x'.repeat(1024 * 1024 + 1) }

const cases: [string, Attempted, Partial<AttemptFacts>, string, string | null][] = [
  ['a result', { result: '1' }, {}, 'succeeded', null],
  ['what may pass', busy(), {}, 'retrying', 'server_error'],
  ['what may pass, at the last attempt but one', busy(), { attempt: 2 }, 'retrying', 'server_error'],
  ['what may pass, at the last attempt', busy(), { attempt: 3 }, 'dead-lettered', 'server_error'],
  ['what may pass, once only, not begun', busy(), { once: true }, 'retrying', 'server_error'],
  ['what may pass, once only, begun', busy(), { once: true, began: true }, 'unknown', 'effect_unknown'],
  ['untouched, once only, begun', busy({ untouched: true }), { once: true, began: true }, 'retrying', 'server_error'],
  ['out of time', thrown(new Error('late'), true), {}, 'retrying', 'timeout'],
  ['out of time, once only, begun', thrown(0, true), { once: true, began: true }, 'unknown', 'effect_unknown'],
  ['what the caller can put right', thrown(new CorrectableError('No.')), {}, 'failed', 'target_refused'],
  ['an answer that is lost', thrown(new AnswerLostError('A lot.')), { began: true }, 'failed', 'answer_lost'],
  [
    'an answer that is lost, once only, begun',
    thrown(new AnswerLostError('A lot.')),
    { once: true, began: true },
    'unknown',
    'answer_lost',
  ],
  ['a fault of ours', thrown(new Error('bug')), {}, 'failed', 'internal'],
  ['its user is erased meanwhile', thrown(new ParleyError('erased')), {}, 'failed', 'erased'],
  [
    'a key that is missing here, at the last attempt',
    shut,
    { attempt: 3, once: true },
    'retrying',
    'sealed_unreadable',
  ],
  ['a key that was missing for a day', shut, { now: DAY, heldSince: 0 }, 'retrying', 'sealed_unreadable'],
  ['a key missing, at the end', shut, { now: DAY, heldSince: 0, attempt: 3 }, 'dead-lettered', 'sealed_unreadable'],
  ['versions away, at the last attempt', gone, { attempt: 3, once: true }, 'retrying', 'blob_unavailable'],
  [
    'versions away for a day, at the last',
    gone,
    { now: DAY, heldSince: 0, attempt: 3 },
    'dead-lettered',
    'blob_unavailable',
  ],
  ['a key missing, once only, begun', shut, { once: true, began: true }, 'unknown', 'effect_unknown'],
  ['a fault of ours, once only, begun', thrown(0), { once: true, began: true }, 'unknown', 'effect_unknown'],
  ['too much, once only, begun', tooMuch, { once: true, began: true }, 'unknown', 'result_too_large'],
  ['too much', tooMuch, {}, 'failed', 'result_too_large'],
  ['nobody signed in', thrown(new IdentityNeeded()), {}, 'awaiting-identity', 'awaiting_identity'],
  ['an action that is gone', { impossible: 'unknown_action' }, {}, 'dead-lettered', 'unknown_action'],
]

for (const [what, attempted, change, status, reason] of cases) {
  test(`${what}: ${status}`, () => {
    const consequence = consequenceOf(attempted, facts(change))
    assert.deepEqual([consequence.status, consequence.reason], [status, reason])
    assert.equal(consequence.retryAt === undefined, status !== 'retrying')
  })
}

test('an attempt without identity does not count', () => {
  assert.equal(consequenceOf(thrown(new IdentityNeeded()), facts()).uncounted, true)
  assert.equal(consequenceOf(busy(), facts()).uncounted, false)
})

test('for a day, an attempt that lacks its key or its version does not count, and is made again a minute later at most', () => {
  for (const attempted of [shut, gone]) {
    const after = (heldForMs: number, random: number) => {
      const now = 5 * DAY
      const { uncounted, retryAt = 0 } = consequenceOf(attempted, facts({ now, heldSince: now - heldForMs, random }))
      return [uncounted, retryAt - now]
    }
    assert.deepEqual(
      [after(0, 0), after(0, 1), after(20_000, 1), after(DAY - 1, 0), after(DAY - 1, 1), after(DAY, 1)],
      [
        [true, 500],
        [true, 1000],
        [true, 20_000],
        [true, 30_000],
        [true, 60_000],
        [false, 1000],
      ],
    )
    assert.equal(consequenceOf(attempted, facts()).uncounted, true)
  }
})

test('back-off doubles up to a minute, with full jitter, and is no shorter than the target asked for', () => {
  assert.deepEqual(
    [1, 2, 3, 7, 8, 20].map((attempt) => retryDelayMs(attempt, undefined, 1)),
    [1000, 2000, 4000, 60_000, 60_000, 60_000],
  )
  assert.equal(retryDelayMs(5, undefined, 0), 0)
  assert.equal(retryDelayMs(1, 5000, 0.5), 5000)
  assert.equal(retryDelayMs(1, 600_000, 0), 600_000)
  assert.equal(retryDelayMs(1, 600_001, 0), 600_000)
  assert.equal(consequenceOf(busy({ retryAfterMs: 7000 }), facts()).retryAt, 8000)
})

test('a fault of ours is told to the log, and that somebody was erased is none', () => {
  assert.ok(consequenceOf(thrown(new Error('bug')), facts()).fault instanceof Error)
  assert.equal(consequenceOf(thrown(new ParleyError('erased')), facts()).fault, undefined)
})
