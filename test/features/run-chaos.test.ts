import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChaos } from '../support/run-chaos.ts'
import { checkRuns } from '../support/run-chaos-check.ts'
import { embeddedChaos, sharedChaos } from '../support/run-chaos-grounds.ts'

test('300 runs while workers are killed 6 times and the broker is dropped 3 times: none lost, none done twice, order kept', async (t) => {
  await using ground = await sharedChaos()
  const seed = Math.floor(Math.random() * 2 ** 31)
  const size = { workers: 2, runs: 300, kills: 6, drops: 3, atOnce: 60, perConversation: 15 }
  const limits = { settleMs: 60_000, hurry: true }
  t.diagnostic(`seed ${seed}`)
  const report = await runChaos({ ...ground, ...size, ...limits, seed, say: () => {} })
  const outcomes = checkRuns(report)
  t.diagnostic(JSON.stringify({ ...outcomes, failures: report.failures, seconds: report.seconds }))
  assert.ok((outcomes['once succeeded'] ?? 0) > 0)
})

test('100 runs embedded, while the one process is killed twice: none lost, none done twice, order kept', async (t) => {
  await using ground = await embeddedChaos()
  const seed = Math.floor(Math.random() * 2 ** 31)
  const size = { workers: 1, runs: 100, kills: 2, drops: 0, atOnce: 40, perConversation: 15 }
  const limits = { settleMs: 60_000, hurry: true }
  t.diagnostic(`seed ${seed}`)
  const report = await runChaos({ ...ground, ...size, ...limits, seed, say: () => {} })
  const outcomes = checkRuns(report)
  t.diagnostic(JSON.stringify({ ...outcomes, failures: report.failures, seconds: report.seconds }))
  assert.ok((outcomes['once succeeded'] ?? 0) > 0)
})
