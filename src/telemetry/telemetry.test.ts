import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { manualClock } from '../../test/support/clock.ts'
import { parseMetrics, valuesOf } from '../../test/support/prometheus.ts'
import type { EndedTurn } from './facts.ts'
import type { RunFigure, Sources } from './sources.ts'
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

async function telemetryAtHand(
  runs: () => Promise<readonly RunFigure[]> = async () => [],
  brokerDeadLetters: Sources['brokerDeadLetters'] = async () => [],
) {
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
  telemetry.observe({ ...nothing, runs, brokerDeadLetters, verdict: () => undefined }, () => true)
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

test('the broker is asked what it gave up at most every minute, and while it is away there is no figure', async () => {
  const answers = [[{ count: 2, oldestAgeMs: 90_000 }], [{ count: 0, oldestAgeMs: 0 }], [], undefined]
  let asked = 0
  await using at = await telemetryAtHand(undefined, async () => {
    const answer = answers[asked++]
    if (!answer) throw new Error('The broker is away.')
    return answer
  })
  const letters = async () => {
    const scraped = await at.scrape()
    const names = ['parley_broker_dead_letters', 'parley_broker_dead_letters_oldest_age_seconds']
    return names.flatMap((name) => valuesOf(scraped, name))
  }
  assert.deepEqual(await letters(), ['2', '90'])
  at.clock.advance(59_999)
  assert.deepEqual([await letters(), asked], [['2', '90'], 1])
  at.clock.advance(1)
  assert.deepEqual(await letters(), ['0', '0'])
  for (const passed of [60_000, 60_000]) {
    at.clock.advance(passed)
    assert.deepEqual(await letters(), [])
  }
  assert.equal(asked, 4)
})
