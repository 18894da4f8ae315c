import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { manualClock } from '../../test/support/clock.ts'
import { parseMetrics, valuesOf } from '../../test/support/prometheus.ts'
import type { EndedTurn } from './facts.ts'
import type { RunFigure } from './sources.ts'
import { openTelemetry } from './telemetry.ts'

const turn: EndedTurn = {
  addressee: 'helper',
  config: 'v1',
  arm: 'canary',
  status: 'failed',
  code: 'models_unavailable',
  segments: [{ model: 'only', inputTokens: 7, outputTokens: 0, costUsd: 0.5 }],
  firstTokenMs: null,
  startedAt: 0,
  endedAt: 1500,
}

async function telemetryAtHand(runs: () => Promise<readonly RunFigure[]> = async () => []) {
  const clock = manualClock()
  const telemetry = await openTelemetry({
    env: { otlpEndpoint: undefined, applicationInsights: undefined },
    service: { name: 'parley', version: '0', instance: 'rep' },
    clock,
    log: createLog('silent'),
  })
  const shedding = () => ({ cause: undefined, refused: 0 })
  const alerts = () => ({ raised: [], delivered: [] })
  const nothing = {
    shedding,
    alerts,
    liveTurns: () => 0,
    openStreams: () => 0,
    models: () => [],
    dependencies: () => ({}),
  }
  telemetry.observe({ ...nothing, runs, verdict: () => undefined }, () => true)
  const scrape = async () => parseMetrics(await telemetry.scrape())
  return { clock, telemetry, scrape, [Symbol.asyncDispose]: () => telemetry.close() }
}

test('what is told before anything records is kept, and what is told twice is recorded once', async () => {
  await using at = await telemetryAtHand()
  at.telemetry.turnEnded('turn_1', turn)
  at.telemetry.turnEnded('turn_1', turn)
  assert.deepEqual(valuesOf(await at.scrape(), 'parley_turns_total', { error_type: 'models_unavailable' }), ['1'])
  at.telemetry.turnEnded('turn_2', turn)
  at.telemetry.turnEnded('turn_1', turn)
  const scraped = await at.scrape()
  assert.deepEqual(valuesOf(scraped, 'parley_turns_total', { arm: 'canary', status: 'failed' }), ['2'])
  assert.deepEqual(valuesOf(scraped, 'ai_cost_total'), ['1'])
  assert.deepEqual(valuesOf(scraped, 'gen_ai_client_operation_duration_count'), [])
})

test('the database is asked for runs at most every ten seconds, and what it does not say is not made up', async () => {
  const answers = [3, 4, undefined]
  let asked = 0
  await using at = await telemetryAtHand(async () => {
    const count = answers[asked++]
    if (count === undefined) throw new Error('The database is away.')
    return [{ status: 'dead-lettered', count, oldestAgeMs: 7_200_000 }]
  })
  const dead = async () => valuesOf(await at.scrape(), 'parley_runs', { status: 'dead-lettered' })
  assert.deepEqual([await dead(), await dead(), asked], [['3'], ['3'], 1])
  assert.deepEqual(valuesOf(await at.scrape(), 'parley_runs_oldest_age_seconds'), ['7200'])
  at.clock.advance(10_000)
  assert.deepEqual(await dead(), ['4'])
  at.clock.advance(10_000)
  assert.deepEqual(await dead(), [])
})
