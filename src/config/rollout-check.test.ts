import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRollout } from './rollout-check.ts'

const floors = [
  { weight: 5, conversations: 50 },
  { weight: 25, conversations: 100 },
]
const asked = { floors, bakeMs: 900_000 }
const NOTHING = { floors: [], bakeMs: 0 }

function faultsOf(steps: [weight: number, conversations: number][], env = asked): string[] {
  const rollout = { steps: steps.map(([weight, conversations]) => ({ weight, conversations })) }
  return checkRollout({ rollout }, env).map(({ path, message }) => `${path.join('.')} ${message}`)
}

test('a version may leave its rollout to the environment, keep to its floors, or be stricter', () => {
  assert.deepEqual(checkRollout({}, asked), [])
  assert.deepEqual(checkRollout({ rollout: {} }, asked), [])
  assert.deepEqual(faultsOf([]), [])
  assert.deepEqual(
    faultsOf([
      [5, 50],
      [25, 100],
    ]),
    [],
  )
  assert.deepEqual(
    faultsOf([
      [1, 500],
      [2, 100],
      [99, 1],
    ]),
    [],
  )
})

test('a step that reaches more, asks for less or is missing is named', () => {
  const [first, second] = [
    'has to have at most 5 % and at least 50 conversations (PARLEY_ROLLOUT_FLOORS)',
    'has to have at most 25 % and at least 100 conversations (PARLEY_ROLLOUT_FLOORS)',
  ]
  const looser = 'is looser than the environment asks for: step'
  assert.deepEqual(
    faultsOf([
      [5.1, 50],
      [25, 100],
    ]),
    [`rollout.steps.0 ${looser} 1 ${first}`],
  )
  assert.deepEqual(
    faultsOf([
      [5, 50],
      [25, 99],
    ]),
    [`rollout.steps.1 ${looser} 2 ${second}`],
  )
  assert.deepEqual(faultsOf([[5, 50]]), [`rollout.steps ${looser} 2 ${second}`])
  assert.deepEqual(faultsOf([[90, 1]], NOTHING), [])
})

test('weights rise', () => {
  const steps: [number, number][] = [
    [10, 1],
    [10, 1],
    [5, 1],
  ]
  assert.deepEqual(faultsOf(steps, NOTHING), [
    'rollout.steps.1.weight has to be above that of the step before, 10',
    'rollout.steps.2.weight has to be above that of the step before, 10',
  ])
})

test('the last step is watched for as long as the environment asks, or longer', () => {
  assert.deepEqual(checkRollout({ rollout: { bakeMs: 900_000 } }, asked), [])
  assert.deepEqual(checkRollout({ rollout: { bakeMs: 899_999 } }, asked), [
    {
      path: ['rollout', 'bakeMs'],
      message: 'must be at least 900000, as the environment asks (PARLEY_ROLLOUT_BAKE_MS)',
    },
  ])
})
