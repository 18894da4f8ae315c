import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { manualClock } from '../../test/support/clock.ts'
import { Distributions } from './distributions.ts'
import { PullReader } from './meters.ts'

const boundaries = [1, 10, 100]
const metric = { kind: 'histogram' as const, unit: 'ms', description: 'Waiting.', boundaries }

test('what is counted is told as the SDK would tell it, also on a boundary, beyond the last, negative or no number', async () => {
  const distributions = new Distributions(manualClock())
  const ours = distributions.add('ai_inter_token_duration_ms', metric)
  const reader = new PullReader()
  const { description, unit } = metric
  const theirs = new MeterProvider({ readers: [reader] })
    .getMeter('parley')
    .createHistogram('ai_inter_token_duration_ms', {
      description,
      unit,
      advice: { explicitBucketBoundaries: boundaries },
    })
  const model = { model: 'a' }
  const [some, silent] = [ours(model), ours({ model: 'b' })]
  for (const value of [0, 1, 1.5, 10, 100, 101, 5000, Number.NaN, -3]) {
    some.record(value)
    theirs.record(value, model)
  }
  silent.record(Number.NaN)

  const told = async (from: Distributions | PullReader) => {
    const [scope] = (await from.collect()).resourceMetrics.scopeMetrics
    return scope?.metrics.map(({ descriptor, dataPoints, ...rest }) => {
      const { name, description, unit, valueType } = descriptor
      return { ...rest, name, description, unit, valueType, points: dataPoints.map(plain) }
    })
  }
  assert.deepEqual(await told(distributions), await told(reader))
  await reader.shutdown()
})

test('what was told is told again with what came since, and does not change in the hands of who was told', async () => {
  const clock = manualClock()
  const distributions = new Distributions(clock)
  const waiting = distributions.add('ai_inter_token_duration_ms', metric)({})
  const told = async () => (await distributions.collect()).resourceMetrics.scopeMetrics[0]?.metrics[0]?.dataPoints[0]
  assert.equal(await told(), undefined)
  waiting.record(5)
  const first = await told()
  clock.advance(1500)
  waiting.record(50)
  const second = await told()
  assert.deepEqual(
    [first && plain(first).value, second && plain(second).value],
    [
      { buckets: { boundaries, counts: [0, 1, 0, 0] }, count: 1, sum: 5, min: 5, max: 5 },
      { buckets: { boundaries, counts: [0, 1, 1, 0] }, count: 2, sum: 55, min: 5, max: 50 },
    ],
  )
  assert.deepEqual(second?.startTime, first?.startTime)
})

/** Without its times, and what the SDK keeps for itself. */
function plain({ attributes, value }: { attributes: object; value: unknown }) {
  const { buckets, count, sum, min, max } = value as Record<string, unknown>
  return { attributes, value: { buckets, count, sum, min, max } }
}
