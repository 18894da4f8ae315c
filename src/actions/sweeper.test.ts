import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunRow } from './runs/run-row.ts'
import { overdueChange } from './sweeper.ts'

function row(change: Partial<RunRow>): RunRow {
  return {
    ...{
      id: 'run_1',
      seq: 1,
      tenant: 't',
      owner: 'o',
      key: 'k',
      argumentsHash: '',
      askedHash: '',
      action: 'a',
      ...{ config: 'v1', arm: 'stable', cohort: '', unit: 'conv_1' },
    },
    ...{ specialist: null, conversation: null, turn: null, status: 'queued', version: 1, revision: 1 },
    ...{ waiting: false, ordered: false, once: false, attempt: 1, maxAttempts: 3, fence: 1, began: false, dueAt: 1 },
    ...{
      input: Buffer.alloc(0),
      outcome: null,
      preview: null,
      reason: null,
      approval: null,
      followUp: false,
      userMissingSince: null,
      heldSince: null,
      undoes: null,
    },
    ...{ traceparent: null, createdAt: 0, updatedAt: 0, settledAt: null },
    ...change,
  }
}

const cases: [string, Partial<RunRow>, string, string | null][] = [
  ['nobody came for it', {}, 'queued', null],
  ['nobody tried it again', { status: 'retrying', reason: 'timeout' }, 'retrying', 'timeout'],
  ['its worker died', { status: 'running' }, 'retrying', 'worker_lost'],
  ['its worker died at the last attempt', { status: 'running', attempt: 3 }, 'dead-lettered', 'worker_lost'],
  ['once only, not begun', { status: 'running', once: true }, 'retrying', 'worker_lost'],
  ['once only, begun', { status: 'running', once: true, began: true }, 'unknown', 'effect_unknown'],
  ['nobody approved it', { status: 'awaiting-approval' }, 'expired', 'approval_expired'],
  ['nobody signed in', { status: 'awaiting-identity' }, 'expired', 'identity_expired'],
  [
    'once only, nobody signed in',
    { status: 'awaiting-identity', once: true, began: true },
    'expired',
    'identity_expired',
  ],
  ['begun, nobody signed in', { status: 'awaiting-identity', began: true }, 'dead-lettered', 'identity_expired'],
]

for (const [what, change, status, reason] of cases) {
  test(`overdue, since ${what}: ${status}`, () => {
    const changed = overdueChange(row(change), 10)
    assert.deepEqual([changed.status, changed.reason], [status, reason])
  })
}

for (const status of ['queued', 'retrying'] as const) {
  test(`a run that waits long, ${status}, is sent for at growing intervals, however old it is; at least every ten minutes`, () => {
    const next = (now: number) => Number(overdueChange(row({ status, updatedAt: 1000 }), 1000 + now).dueAt) - 1000 - now
    assert.deepEqual([next(10), next(30_000), next(30_001), next(300_000)], [60_000, 60_000, 60_002, 600_000])
    assert.equal(next(86_400_000), 600_000)
  })
}
