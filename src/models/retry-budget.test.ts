import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../test/support/clock.ts'
import { RetryBudget } from './retry-budget.ts'

function withdrawals(budget: RetryBudget): number {
  let count = 0
  while (count < 10_000 && budget.withdraw()) count += 1
  return count
}

test('has a reserve to begin with, and then a tenth of the requests', () => {
  const budget = new RetryBudget(manualClock())
  assert.equal(withdrawals(budget), 100)
  for (let request = 0; request < 1000; request++) budget.deposit()
  const extra = withdrawals(budget)
  assert.ok(extra === 100 || extra === 99, `a tenth of 1,000, give or take rounding: ${extra}`)
})

test('the reserve comes back at ten a minute, and no further', () => {
  const clock = manualClock()
  const budget = new RetryBudget(clock)
  withdrawals(budget)
  clock.advance(5999)
  assert.equal(withdrawals(budget), 0)
  clock.advance(1)
  assert.equal(withdrawals(budget), 1)
  clock.advance(60_000)
  assert.equal(withdrawals(budget), 10)
  clock.advance(24 * 3600_000)
  assert.equal(withdrawals(budget), 100)
})

test('what busy times save up is kept up to a bound', () => {
  const budget = new RetryBudget(manualClock())
  for (let request = 0; request < 100_000; request++) budget.deposit()
  assert.equal(withdrawals(budget), 1000)
})
