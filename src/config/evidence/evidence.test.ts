import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logE } from './evidence.ts'

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 5e-6, `${actual} is not ${expected}`)

test('ln E has its golden values', () => {
  near(logE([{ weight: 0.05, canary: 3, control: 1 }]), 5.45087)
  near(logE([{ weight: 0.05, canary: 0, control: 10 }]), -1.03219)
  near(
    logE([
      { weight: 0.05, canary: 2, control: 6 },
      { weight: 0.25, canary: 9, control: 8 },
      { weight: 0.5, canary: 4, control: 5 },
    ]),
    1.57711,
  )
})
