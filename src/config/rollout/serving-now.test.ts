import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import type { ConfigVersion } from '../document.ts'
import { cohortOf } from './arms.ts'
import { createServing } from './serving-now.ts'
import type { LiveRollout, RolloutState } from './state.ts'

const rollout = `roll_${'1'.repeat(32)}`
const versionOf = (name: string, hash = `hash-of-${name}`) => ({ name, hash, document: {} }) as ConfigVersion
const ref = (version: string) => ({ version, hash: `hash-of-${version}` })

const live: LiveRollout = {
  id: rollout,
  candidate: ref('v2'),
  salt: 'salt',
  status: 'canary',
  paused: null,
  step: 0,
  steps: [{ weight: 50, conversations: 50 }],
  bakeMs: 0,
  waived: [],
  baseline: null,
  startedAt: 0,
  startedBy: 'system',
  since: 0,
}

function stateOf(change: Partial<RolloutState> = {}): RolloutState {
  return { epoch: 1, stable: ref('v1'), live: null, finished: [], ...change } as RolloutState
}

const entry = { status: 'sound', uploadedBy: null, approvedBy: null } as const

function servingOf(names: string[], state: RolloutState) {
  const known = new Map(names.map((name) => [name, versionOf(name)]))
  const versions = {
    get: (name: string) => known.get(name),
    newest: () => versionOf(names.at(-1) ?? 'v0'),
    list: () => names.toReversed().map((name) => ({ ...entry, name, hash: `hash-of-${name}` })),
    onChange: () => () => {},
    refresh: async () => {},
  }
  return { known, serving: createServing(versions, createLog('silent'), state, () => false) }
}

const units = Array.from({ length: 200 }, (_, n) => `conv_${n}`)

test('each arm is served from its version, and named with the step at whose weight it was drawn', () => {
  const { serving } = servingOf(['v1', 'v2'], stateOf({ live }))
  const drawn = units.map((unit) => serving.assign(unit))
  assert.ok(drawn.every(({ cohort }) => cohort === cohortOf(rollout, 0)))
  assert.ok(drawn.every(({ arm, config }) => config.name === (arm === 'canary' ? 'v2' : 'v1')))
  assert.equal(new Set(drawn.map(({ arm }) => arm)).size, 2)
  assert.equal(serving.candidate()?.name, 'v2')
})

test('while it bakes it draws on, while it is paused or its counters are lost it does not', () => {
  const { serving } = servingOf(['v1', 'v2'], stateOf({ live: { ...live, status: 'baking' } }))
  assert.notEqual(serving.assign('conv_1').cohort, '')
  serving.hold(true)
  assert.equal(serving.assign('conv_1').cohort, '')
  serving.hold(false)
  serving.apply(stateOf({ live: { ...live, status: 'paused' } }))
  assert.ok(units.every((unit) => serving.assign(unit).config.name === 'v1'))
  const pin = { config: 'v2', arm: 'canary', cohort: cohortOf(rollout, 0) } as const
  assert.equal(serving.resolve(pin).config.name, 'v2', 'who has the candidate keeps it')
})

test('a candidate that this replica does not have is not drawn until it does', () => {
  const { serving, known } = servingOf(['v1'], stateOf({ live }))
  assert.ok(units.every((unit) => serving.assign(unit).cohort === ''))
  known.set('v2', versionOf('v2', 'other bytes'))
  serving.apply(stateOf({ live }))
  assert.equal(serving.candidate(), undefined)
  known.set('v2', versionOf('v2'))
  serving.apply(stateOf({ live }))
  assert.equal(serving.candidate()?.name, 'v2')
})

test('pins end with their rollout, those that were picked do not', () => {
  const { serving } = servingOf(['v1', 'v2', 'v3'], stateOf())
  const pin = (cohort: string) => serving.resolve({ config: 'v2', arm: 'canary', cohort })
  assert.deepEqual(
    ['', cohortOf(rollout, 0), 'picked'].map((cohort) => pin(cohort).config.name),
    ['v1', 'v1', 'v2'],
  )
  assert.deepEqual(pin(cohortOf(rollout, 0)), { config: versionOf('v1'), arm: 'stable', cohort: '' })
  assert.equal(serving.pick('v3').cohort, 'picked')
  assert.throws(() => serving.pick('v9'), { code: 'config_not_found' })
})

test('a stable version that is gone leaves what was served, and who listens hears of changes only', () => {
  const { serving } = servingOf(['v1', 'v3'], stateOf())
  let changes = 0
  const stop = serving.onChange(() => changes++)
  serving.apply(stateOf({ stable: ref('v9') }))
  assert.equal(serving.stable().name, 'v1')
  serving.apply(stateOf({ stable: ref('v3') }))
  assert.deepEqual([serving.stable().name, changes], ['v3', 2])
  stop()
  serving.apply(stateOf())
  assert.equal(changes, 2)
  assert.deepEqual(
    serving.inUse().map(({ name }) => name),
    ['v1'],
  )
})

test('where stable is not at hand nothing is drawn, and what one arm alone could be counted for is not', () => {
  const { serving, known } = servingOf(['v1', 'v2'], stateOf({ live }))
  const pin = (config: string, arm: 'stable' | 'canary') =>
    serving.resolve({ config, arm, cohort: cohortOf(rollout, 0) })
  assert.equal(pin('v2', 'canary').cohort, cohortOf(rollout, 0))
  known.set('v1', versionOf('v1', 'other bytes'))
  serving.apply(stateOf({ live }))
  assert.ok(units.every((unit) => serving.assign(unit).cohort === ''))
  assert.deepEqual([pin('v2', 'canary').config.name, pin('v2', 'canary').cohort], ['v2', ''])
  assert.equal(pin('v1', 'stable').cohort, '')
})

test('where stable was never at hand, what was rolled back or is on its way does not take its place', () => {
  const { live: _, ...state } = stateOf()
  const finished = [{ candidate: ref('v3'), stable: ref('v1'), outcome: 'rolled-back', endedAt: 1 }]
  const missing = { ...state, finished, live: { ...live, candidate: ref('v4') } } as unknown as RolloutState
  assert.equal(servingOf(['v2', 'v3', 'v4'], missing).serving.stable().name, 'v2')
  assert.throws(() => servingOf(['v3', 'v4'], missing), { code: 'config_unavailable' })
})

test('what was approved about when its version was rolled back counts as approved before, whichever clock was ahead', () => {
  const finished = [{ candidate: ref('v2'), stable: ref('v1'), outcome: 'rolled-back', endedAt: 60_000 }]
  const { serving } = servingOf(['v1', 'v2'], stateOf({ finished } as unknown as Partial<RolloutState>))
  assert.deepEqual(
    [59_000, 65_000, 75_000].map((at) => serving.rolledBackSince('v2', at)),
    [true, true, false],
  )
})
