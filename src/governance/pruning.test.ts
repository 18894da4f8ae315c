import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { capturedLog } from '../../test/support/captured-log.ts'
import { manualClock } from '../../test/support/clock.ts'
import { startPruning } from './pruning.ts'

const DAY = 86_400_000
const HOUR = 3_600_000

function atHand() {
  const clock = manualClock(Date.UTC(2026, 10, 21, 15))
  const { log, lines } = capturedLog()
  const asked: [string, string][] = []
  const answers: Record<string, (number | Error)[]> = { ledger: [], audit: [], runs: [] }
  const prune = (kind: string) => async (before: number) => {
    asked.push([kind, new Date(before).toISOString()])
    const answer = answers[kind]?.shift() ?? 0
    if (answer instanceof Error) throw answer
    return answer
  }
  const stop = startPruning({
    ledger: { prune: prune('ledger') },
    audit: { prune: prune('audit') },
    pruneRuns: prune('runs'),
    env: { ledgerMs: 2557 * DAY, auditMs: 93 * DAY, runMs: 30 * DAY },
    clock,
    log,
  })
  const pass = async (ms: number) => {
    clock.advance(ms)
    for (let times = 0; times < 5; times++) await setImmediate()
  }
  return { clock, asked, answers, lines, pass, stop }
}

test('each is asked for what is before the month in which its time is up, runs for what is before that moment', async () => {
  const { asked, pass, stop } = atHand()
  await pass(59_999)
  assert.deepEqual(asked, [])
  await pass(1)
  assert.deepEqual(asked, [
    ['ledger', '2019-11-01T00:00:00.000Z'],
    ['audit', '2026-08-01T00:00:00.000Z'],
    ['runs', '2026-10-22T15:01:00.000Z'],
  ])
  await stop()
})

test('it goes on in steps until nothing is left, then looks again after six hours', async () => {
  const { asked, answers, lines, pass, stop } = atHand()
  answers.ledger = [10_000, 3]
  await pass(60_000)
  await pass(1000)
  await pass(1000)
  assert.equal(asked.length, 9)
  await pass(6 * HOUR - 1)
  assert.equal(asked.length, 9)
  await pass(1)
  assert.equal(asked.length, 12)
  assert.deepEqual(
    lines.map(({ kind, entries }) => [kind, entries]),
    [
      ['ledger', 10_000],
      ['ledger', 3],
    ],
  )
  await stop()
})

test('one that is away keeps the others from nothing, and is asked again', async () => {
  const { asked, answers, lines, pass, stop, clock } = atHand()
  answers.ledger = [new ParleyError('database_unavailable')]
  answers.audit = [7]
  await pass(60_000)
  await pass(1000)
  assert.deepEqual(
    asked.map(([kind]) => kind),
    ['ledger', 'audit', 'runs', 'ledger', 'audit', 'runs'],
  )
  assert.equal(lines[0]?.level, 40)
  await stop()
  assert.equal(clock.pending, 0)
})
