import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Side } from '../shadow.ts'
import { book, comparisonOf, emptyTally, settle, type Tally, withSkipped } from './tally.ts'

const MINUTE = 60_000
const side: Side = {
  finish: 'stop',
  failure: null,
  characters: 10,
  inputTokens: 100,
  outputTokens: 20,
  costUsd: 0.5,
  firstTokenMs: 100,
  calls: [],
}

function booked(
  tally: Tally,
  limits: { turns: number; budgetUsd: number },
  usd = 1,
  at = 0,
  id = `copy${tally.taken}`,
) {
  return book(tally, limits, { id, usd, at })
}

test('as many turns are copied as were given, and not one more', () => {
  const limits = { turns: 2, budgetUsd: 100 }
  let { tally, booking } = booked(emptyTally(), limits)
  ;({ tally, booking } = booked(tally, limits))
  assert.equal(booking, 'taken')
  assert.equal(booked(tally, limits).booking, 'held', 'it has not ended while copies are under way')
  tally = settle(settle(tally, 'copy0', 0, null), 'copy1', 0, null)
  const third = booked(tally, limits)
  assert.deepEqual([third.booking, third.tally.taken], ['turns', 2])
})

test('the budget holds for what copies may come to, to the cent', () => {
  const limits = { turns: 100, budgetUsd: 0.3 }
  let tally = emptyTally()
  for (let n = 0; n < 3; n++) tally = booked(tally, limits, 0.1).tally
  assert.equal(tally.taken, 3, '0.1 three times is 0.3')
  assert.equal(booked(tally, limits, 0.001).booking, 'held')
  tally = settle(tally, 'copy0', 0.04, null)
  assert.equal(booked(tally, limits, 0.061).booking, 'held')
  const fits = booked(tally, limits, 0.06)
  assert.equal(fits.booking, 'taken', 'what was not spent is there for others')
})

test('with nothing under way, what does not fit ends it', () => {
  const limits = { turns: 100, budgetUsd: 1 }
  const tally = settle(booked(emptyTally(), limits, 1).tally, 'copy0', 0.9, null)
  assert.equal(booked(tally, limits, 0.1).booking, 'taken')
  assert.equal(booked(tally, limits, 0.11).booking, 'budget')
})

test('a copy that is never heard of again is taken to have spent what it had booked', () => {
  const limits = { turns: 100, budgetUsd: 1 }
  const held = booked(emptyTally(), limits, 0.6).tally
  assert.equal(booked(held, limits, 0.5, 10 * MINUTE - 1).booking, 'held')
  const { tally, booking } = booked(held, limits, 0.5, 10 * MINUTE)
  assert.deepEqual([booking, tally.lost, tally.spentUsd], ['budget', 1, 0.6])
  assert.equal(settle(tally, 'copy0', 0.1, null), tally, 'too late to say otherwise')
})

test('a copy is settled once', () => {
  const limits = { turns: 100, budgetUsd: 1 }
  const once = settle(booked(emptyTally(), limits).tally, 'copy0', 0.2, { served: side, shadowed: side, overlap: 1 })
  assert.equal(settle(once, 'copy0', 0.2, { served: side, shadowed: side, overlap: 1 }), once)
  assert.deepEqual([once.compared, once.spentUsd], [1, 0.2])
})

test('both sides are compared in figures of the same turns', () => {
  const limits = { turns: 100, budgetUsd: 10 }
  const call = { action: 'create_ticket', outcome: 'would-run', arguments: ['title'] }
  const failure: Side = {
    ...side,
    finish: null,
    failure: 'model_failed',
    characters: 0,
    costUsd: 0,
    firstTokenMs: null,
  }
  const calling: Side = {
    ...side,
    finish: 'tool_calls',
    calls: [call, { ...call, action: null, outcome: 'unknown_action' }],
  }
  let tally = emptyTally()
  for (const [served, shadowed, overlap] of [
    [side, { ...side, characters: 30, costUsd: 0.1 }, 0.5],
    [calling, { ...calling, calls: [{ ...call, outcome: 'arguments_invalid', arguments: [] }] }, null],
    [side, failure, null],
  ] as const) {
    const { tally: next } = booked(tally, limits)
    tally = settle(next, `copy${tally.taken}`, 0.1, { served, shadowed, overlap })
  }
  tally = withSkipped(withSkipped(tally, new Map([['busy', 2]])), new Map([['busy', 1]]))
  const { served, shadowed, actions, overlap, turns, skipped } = comparisonOf(tally, { id: 's', version: 'v2' })
  assert.deepEqual(turns, { taken: 3, compared: 3, lost: 0 })
  assert.deepEqual(skipped, { busy: 3 })
  assert.equal(overlap, 0.5)
  assert.deepEqual(served.finishes, { stop: 2, tool_calls: 1 })
  assert.deepEqual(shadowed.finishes, { stop: 1, tool_calls: 1 })
  assert.deepEqual(shadowed.failures, { model_failed: 1 })
  assert.deepEqual([served.characters, shadowed.characters], [10, 40 / 3])
  assert.ok(Math.abs((served.firstTokenMs?.p50 ?? 0) / 100 - 1) < 0.05)
  const one = { calls: 1, outcomes: { 'would-run': 1 }, arguments: { title: 1 } }
  assert.deepEqual(actions, [
    {
      action: '?',
      served: { calls: 1, outcomes: { unknown_action: 1 }, arguments: { title: 1 } },
      shadowed: { calls: 0, outcomes: {}, arguments: {} },
    },
    { action: 'create_ticket', served: one, shadowed: { calls: 1, outcomes: { arguments_invalid: 1 }, arguments: {} } },
  ])
})

test('nothing compared is no figure, and no NaN', () => {
  const { served, overlap } = comparisonOf(emptyTally(), { id: 's', version: 'v2' })
  assert.deepEqual([overlap, served.characters, served.costUsd, served.firstTokenMs], [null, 0, 0, null])
})
