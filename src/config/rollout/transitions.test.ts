import assert from 'node:assert/strict'
import { test } from 'node:test'
import { underOrder } from './rollback-order.ts'
import type { RolloutState } from './state.ts'
import {
  advance,
  type Beginning,
  compare,
  first,
  type Occasion,
  pause,
  resume,
  rollBack,
  start,
} from './transitions.ts'

const v1 = { version: 'v1', hash: 'h1' }
const v2 = { version: 'v2', hash: 'h2' }
const v3 = { version: 'v3', hash: 'h3' }
let at = 1000
const because = (reason: string): Occasion => ({ by: 'system', operator: null, reason, evidence: null, at: at++ })

const beginning = (candidate = v2, steps = [5, 25]): Beginning => ({
  id: `roll-${candidate.version}`,
  salt: 'salt',
  candidate,
  steps: steps.map((weight) => ({ weight, conversations: 50 })),
  bakeMs: 0,
  waived: [],
  baseline: null,
  startedBy: 'system',
})

const known = (): RolloutState => first(v1, 1, because('The first.'))
const begun = () => start(known(), beginning(), because('Found.'))
const refused = { code: 'rollout_state' }

test('a rollout passes its steps, bakes and is stable', () => {
  const places = [begun()]
  while (places.at(-1)?.live) places.push(advance(places.at(-1) ?? known(), because('Evidence.')))
  assert.deepEqual(
    places.map(({ last }) => [last.from, last.to]),
    [
      ['none', 'canary 1/2 (5 %)'],
      ['canary 1/2 (5 %)', 'canary 2/2 (25 %)'],
      ['canary 2/2 (25 %)', 'baking'],
      ['baking', 'stable'],
    ],
  )
  const end = places.at(-1)
  assert.deepEqual([end?.stable, end?.finished[0]?.outcome, end?.finished[0]?.stable], [v2, 'stable', v1])
  assert.deepEqual(
    places.map(({ epoch, last }) => [epoch, last.epoch]),
    [2, 3, 4, 5].map((epoch) => [epoch, epoch]),
  )
})

test('while it bakes it keeps the weight of its last step', () => {
  const baking = advance(advance(begun(), because('')), because(''))
  assert.deepEqual([baking.live?.status, baking.live?.step], ['baking', 1])
})

test('without steps it is stable at once', () => {
  const state = start(known(), beginning(v2, []), because('Found.'))
  assert.deepEqual([state.stable, state.live, state.last.to], [v2, null, 'stable'])
})

test('only one rollout lives, and what is stable does not start', () => {
  assert.throws(() => start(begun(), beginning(v3), because('')), refused)
  assert.throws(() => start(known(), beginning(v1), because('')), refused)
})

test('what is paused resumes where it was, or is promoted from there', () => {
  const baking = advance(advance(begun(), because('')), because(''))
  for (const from of [begun(), baking]) {
    const paused = pause(from, 'operator', because('Lunch.'))
    assert.equal(paused.live?.status, 'paused')
    assert.equal(resume(paused, undefined, because('Back.')).live?.status, from.live?.status)
  }
  assert.equal(advance(pause(begun(), 'operator', because('')), because('')).live?.step, 1)
  assert.equal(advance(pause(baking, 'operator', because('')), because('')).stable, v2)
})

test('after lost counters it resumes as a new rollout, from its first step', () => {
  const lost = pause(advance(begun(), because('')), 'counters-lost', because('The counters are gone.'))
  assert.throws(() => resume(lost, undefined, because('')), refused)
  const { live } = resume(lost, { id: 'roll-new', salt: 'pepper', baseline: null }, because('Again.'))
  assert.deepEqual([live?.id, live?.salt, live?.step, live?.status], ['roll-new', 'pepper', 0, 'canary'])
})

test('after lost counters it is promoted only to where none are needed', () => {
  const lost = pause(begun(), 'counters-lost', because('Lost.'))
  assert.throws(() => advance(lost, because('')), refused)
  const baking = advance(advance(begun(), because('')), because(''))
  assert.equal(baking.live?.status, 'baking')
  assert.equal(advance(pause(baking, 'counters-lost', because('Lost.')), because('')).stable, v2)
})

test('it is rolled back from every live status, and that is its end', () => {
  const baking = advance(advance(begun(), because('')), because(''))
  for (const state of [
    begun(),
    baking,
    pause(begun(), 'inconclusive', because('')),
    pause(baking, 'operator', because('')),
  ]) {
    const back = rollBack(state, because('Bad.'))
    assert.deepEqual([back.stable, back.live, back.finished[0]?.outcome], [v1, null, 'rolled-back'])
    for (const move of [advance, (one: RolloutState) => resume(one, undefined, because(''))]) {
      assert.throws(() => move(back, because('')), refused)
    }
  }
})

test('what is stable is rolled back to the one before it, again and again, to the first', () => {
  const two = start(known(), beginning(v2, []), because(''))
  const three = start(two, beginning(v3, []), because(''))
  const back = rollBack(three, because('Bad.'))
  assert.deepEqual([back.stable, back.finished[0]?.outcome], [v2, 'rolled-back'])
  const further = rollBack(back, because('Bad, too.'))
  assert.equal(further.stable, v1)
  assert.throws(() => rollBack(further, because('')), refused)
})

test('a baseline is frozen once', () => {
  const percentiles = { p50: 1, p90: 2 }
  const baseline = { trials: 200, errorRate: 0, firstTokenMs: percentiles, costUsd: percentiles }
  const state = compare(begun(), baseline, because('Enough trials.'))
  assert.deepEqual(state.live?.baseline, baseline)
  assert.throws(() => compare(state, baseline, because('')), refused)
})

test('pause, resume and advance want a live rollout in the state they leave', () => {
  const paused = pause(begun(), 'operator', because(''))
  assert.throws(() => pause(paused, 'operator', because('')), refused)
  assert.throws(() => resume(begun(), undefined, because('')), refused)
  for (const move of [advance, (one: RolloutState) => pause(one, 'operator', because(''))]) {
    assert.throws(() => move(known(), because('')), refused)
  }
})

test('of finished rollouts the newest fifty are kept', () => {
  let state = known()
  for (let n = 2; n < 70; n++) {
    state = start(state, beginning({ version: `v${n}`, hash: `h${n}` }, []), because(''))
  }
  assert.equal(state.finished.length, 50)
  assert.equal(state.finished[0]?.candidate.version, 'v69')
})

test('however many are rolled back, what made the stable version stable is kept, for the way back', () => {
  let state = start(known(), beginning(v2, []), because(''))
  for (let n = 3; n < 80; n++) {
    state = rollBack(start(state, beginning({ version: `v${n}`, hash: `h${n}` }), because('')), because('Bad.'))
  }
  assert.equal(state.finished.length, 50)
  assert.equal(rollBack(state, because('Bad, too.')).stable, v1)
})

test('an order to roll back counts before the state says so, once, and for its rollout only', () => {
  const order = { rollout: 'roll-v2', ...because('Bad.') }
  const under = underOrder(begun(), order)
  assert.deepEqual([under.live, under.stable, under.last.reason], [null, v1, 'Bad.'])
  assert.equal(underOrder(under, order), under)
  assert.equal(underOrder(start(known(), beginning(v3), because('')), order).live?.candidate, v3)
})

test('an order undoes a promotion that did not know of it', () => {
  const promoted = start(known(), beginning(v2, []), because(''))
  const order = { rollout: 'roll-v2', ...because('Bad.') }
  assert.equal(underOrder(promoted, order).stable, v1)
  const again = start(underOrder(promoted, order), { ...beginning(v2, []), id: 'roll-again' }, because('By hand.'))
  assert.equal(underOrder(again, order), again)
})
