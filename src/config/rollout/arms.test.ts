import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cohortOf, drawArm, readCohort } from './arms.ts'

const units = Array.from({ length: 20_000 }, (_, n) => `conv_${n}`)

test('arms are drawn by weight', () => {
  for (const weight of [0.5, 5, 25, 50, 99]) {
    const canary = units.filter((unit) => drawArm('salt', unit, weight) === 'canary').length
    const deviation = Math.sqrt((units.length * weight * (100 - weight)) / 10_000)
    assert.ok(Math.abs(canary - (units.length * weight) / 100) < 4.5 * deviation, `${canary} at ${weight} %`)
  }
})

test('who is in the canary stays there as the weight rises, and another salt draws others', () => {
  const early = units.filter((unit) => drawArm('salt', unit, 5) === 'canary')
  assert.ok(early.every((unit) => drawArm('salt', unit, 25) === 'canary'))
  const again = early.filter((unit) => drawArm('pepper', unit, 5) === 'canary').length
  assert.ok(again < early.length * 0.1, `${again} of ${early.length}`)
})

test('a cohort is read as it was named', () => {
  const rollout = `roll_${'a'.repeat(32)}`
  assert.deepEqual(readCohort(cohortOf(rollout, 12)), { rollout, step: 12 })
  for (const other of ['', 'picked', 'roll_x.1', `${rollout}.`, `${rollout}.1.2`])
    assert.equal(readCohort(other), undefined)
})
