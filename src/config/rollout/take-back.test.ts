import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RolloutState } from './state.ts'
import { takeBack } from './take-back.ts'
import { advance, first, type Occasion, rollBack, start } from './transitions.ts'

let at = 1000
const because = (reason: string): Occasion => ({ by: 'Olga', operator: 'olga', reason, evidence: null, at: at++ })
const ref = (version: string) => ({ version, hash: `hash of ${version}` })

function begun(state: RolloutState, version: string): RolloutState {
  const steps = [{ weight: 50, conversations: 1 }]
  const beginning = { id: `roll-${version}`, salt: 's', candidate: ref(version), steps, bakeMs: 0, startedBy: 'Olga' }
  return start(state, { ...beginning, waived: [], baseline: null }, because('Found.'))
}

const passed = (state: RolloutState) => advance(advance(state, because('Evidence.')), because('Evidence.'))
const outcomes = ({ finished }: RolloutState) => finished.map(({ candidate, outcome }) => [candidate.version, outcome])

const v1 = first(ref('v1'), 1, because('The first.'))
const v2 = passed(begun(v1, 'v2'))

test('what became stable since is rolled back, and what was on its way ends', () => {
  const known = begun(passed(begun(v2, 'v3')), 'v4')
  const taken = takeBack(known, v2, known.epoch + 1, because('Back.'))
  assert.deepEqual([taken.stable, taken.live, taken.epoch], [ref('v2'), null, known.epoch + 1])
  assert.deepEqual(outcomes(taken), [
    ['v4', 'rolled-back'],
    ['v3', 'rolled-back'],
    ['v2', 'stable'],
  ])
  const { from, to, candidate, by } = taken.last
  assert.deepEqual([from, to, candidate, by], ['canary 1/1 (50 %)', 'stable', 'v2', 'Olga'])
  assert.deepEqual(rollBack(taken, because('Further.')).stable, ref('v1'), 'the way back is there')
})

test('what was rolled back since keeps its time and reason', () => {
  const live = begun(v2, 'v3')
  const known = rollBack(live, because('Bad.'))
  const taken = takeBack(known, v2, known.epoch + 1, because('Back.'))
  assert.deepEqual(taken.finished[0], known.finished[0])
})

test('what is on its way in it is paused until it begins anew, and is not among what has ended', () => {
  const live = begun(v2, 'v3')
  const known = rollBack(live, because('Bad.'))
  const taken = takeBack(known, live, known.epoch + 1, because('It was good.'))
  assert.deepEqual(outcomes(taken), [['v2', 'stable']])
  assert.deepEqual(
    [taken.live?.status, taken.live?.paused?.cause, taken.live?.paused?.from],
    ['paused', 'counters-lost', 'canary'],
  )
  assert.deepEqual([taken.last.rollout, taken.last.to], ['roll-v3', 'paused'])
})
