import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import type { Budget } from '../budgets.ts'
import { BudgetBook } from './book.ts'

test('what was read before a budget was set takes it from nobody when it comes late', async () => {
  const budget: Budget = { scope: 'tenant:one', limitUsd: 1, period: 'month', version: 1, override: null }
  const early = Promise.withResolvers<Budget[]>()
  const answers = [early.promise, Promise.resolve([budget])]
  const kept = { all: async () => answers.shift() ?? [] }
  const book = new BudgetBook({ kept, clock: manualClock(), log: createLog('silent'), awake: true, alone: true })
  await book.look()
  assert.deepEqual(book.all(), [budget])
  early.resolve([])
  await book.ready()
  await book.close()
  assert.deepEqual(book.all(), [budget])
})
