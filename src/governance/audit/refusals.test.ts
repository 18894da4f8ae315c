import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../../test/support/clock.ts'
import type { AuditEntry } from '../audit.ts'
import { type Refusal, Refusals } from './refusals.ts'

const refusal = (actor: string | null, code = 'forbidden'): Refusal => {
  return { tenant: 't', kind: 'access.refused', actor, details: { code } }
}

test('a million tries of one are one entry a minute', () => {
  const clock = manualClock()
  const noted: AuditEntry[] = []
  const refusals = new Refusals((entry) => noted.push(entry), clock)
  for (let times = 0; times < 1_000_000; times++) refusals.add(refusal('ana'))
  refusals.add(refusal('ana', 'run_not_found'))
  assert.deepEqual(noted, [])
  clock.advance(60_000)
  const shared = { tenant: 't', kind: 'access.refused', actor: 'ana', subject: null } as const
  assert.deepEqual(noted, [
    { ...shared, details: { code: 'forbidden', count: 1_000_000 } },
    { ...shared, details: { code: 'run_not_found', count: 1 } },
  ])
  clock.advance(600_000)
  assert.equal(noted.length, 2)
  refusals.add(refusal('ana'))
  refusals.close()
  assert.equal(noted.length, 3)
  refusals.add(refusal('ana'))
  assert.equal(noted.length, 4)
  assert.equal(clock.pending, 0)
})

test('many who try are counted together beyond a hundred', () => {
  const clock = manualClock()
  const noted: AuditEntry[] = []
  const refusals = new Refusals((entry) => noted.push(entry), clock)
  for (let who = 0; who < 5000; who++) refusals.add(refusal(String(who)))
  clock.advance(60_000)
  assert.equal(noted.length, 101)
  assert.deepEqual([noted.at(-1)?.actor, noted.at(-1)?.details], [null, { code: 'others', count: 4900 }])
})
