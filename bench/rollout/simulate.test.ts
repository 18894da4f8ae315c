import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alternatives, shipped } from './rows.ts'
import { intervalOf, simulate } from './simulate.ts'

const SEED = 7

function rowOf(what: string) {
  const row = [...shipped, ...alternatives.flat()].find((candidate) => candidate.what === what)
  assert.ok(row, what)
  return row
}

test('sound versions become stable, through a shared outage, too', () => {
  for (const what of ['sound version', 'shared outage: errors ×25 for 200 conversations']) {
    const { rolledBack, unresolved } = simulate(rowOf(what), 150, SEED)
    // One in a hundred is promised: of 150 more than six would be one chance in a thousand.
    assert.ok(rolledBack <= 6, `${what}: ${rolledBack}`)
    assert.equal(unresolved, 0)
  }
})

test('worse versions are caught, the sooner the worse they are', () => {
  const medians = ['+99', '+20', '+10', '+5'].map((points) => {
    const { rolledBack, caughtAfter } = simulate(rowOf(`${points} points of errors`), 150, SEED)
    assert.ok(rolledBack >= 148, `${points}: ${rolledBack}`)
    return caughtAfter.p50
  })
  const bounds = [6, 30, 75, 210]
  medians.forEach((median, at) => {
    assert.ok(median <= (bounds[at] ?? 0), `${medians}`)
    assert.ok(median > (medians[at - 1] ?? 0), `${medians}`)
  })
})

test('what breaks the promise is seen to break it', () => {
  const broken = [
    'counting turns instead of conversations',
    'z-test, looked at after each conversation',
    'pinning the canary alone',
  ]
  for (const what of broken) {
    const { rolledBack } = simulate(rowOf(what), 150, SEED)
    assert.ok(rolledBack >= 6, `${what}: ${rolledBack}`)
  }
})

test('the same seed gives the same figures', () => {
  assert.deepEqual(simulate(rowOf('+20 points of errors'), 20, SEED), simulate(rowOf('+20 points of errors'), 20, SEED))
  assert.notDeepEqual(
    simulate(rowOf('+20 points of errors'), 20, SEED).caughtAfter,
    simulate(rowOf('+20 points of errors'), 20, SEED + 20).caughtAfter,
  )
})

test('the interval of a share is what tables say', () => {
  const [low, high] = intervalOf(5, 100)
  assert.ok(Math.abs(low - 0.0215) < 1e-4 && Math.abs(high - 0.1118) < 1e-4)
  assert.deepEqual(intervalOf(0, 100)[0], 0)
})
