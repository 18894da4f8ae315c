import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { catalogue } from '#telemetry/catalogue.ts'
import { only, startRoute } from '../support/model-route.ts'
import { parseMetrics, valuesOf } from '../support/prometheus.ts'

async function scrape(address: string | undefined) {
  const response = await fetch(address ?? '')
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  return parseMetrics(await response.text())
}

test('a turn, its calls, its runs and the present state are metrics that Prometheus reads', async () => {
  const calculate = { toolCalls: [{ name: 'calculate', arguments: '{"expression":"6*7"}' }] }
  const invented = { toolCalls: [{ name: 'never_heard_of', arguments: '{}' }] }
  const ended = Promise.withResolvers<unknown>()
  await using route = await startRoute(
    { only: { plans: [calculate, invented, { pieces: ['It ', 'is ', '42.'] }] } },
    {
      variables: { PARLEY_METRICS_PORT: '0' },
      overrides: { listen: (events) => void events.on('turn.ended', ended.resolve) },
    },
  )
  const asked = await route.ask('what is six times seven?', 'helper')
  only(asked.events, 'turn.completed')
  await ended.promise
  const scraped = await scrape(route.app.app.metricsAddress)
  const value = (name: string, labels: Record<string, string>) => valuesOf(scraped, name, labels)[0]
  const count = (name: string, labels: Record<string, string>) => value(`${name}_count`, labels)

  const served = { config: 'v1', arm: 'stable' }
  const called = {
    ...served,
    gen_ai_operation_name: 'chat',
    gen_ai_provider_name: 'openai-compatible',
    gen_ai_request_model: 'only',
  }
  assert.equal(count('gen_ai_client_operation_duration', called), '3')
  assert.equal(count('gen_ai_client_token_usage', { ...called, gen_ai_token_type: 'output' }), '3')
  assert.equal(count('ai_first_token_duration_ms', { ...served, addressee: 'helper' }), '1')
  assert.ok(Number(value('ai_tokens_total', { ...served, model: 'only', direction: 'input' })) > 0)
  assert.equal(value('parley_turns_total', { ...served, addressee: 'helper', status: 'completed' }), '1')
  assert.equal(value('parley_runs_settled_total', { ...served, action: 'calculate', status: 'succeeded' }), '1')
  assert.equal(value('parley_runs_settled_total', { action: 'unknown', status: 'rejected' }), '1')
  assert.equal(value('parley_runs_settled_total', { action: 'never_heard_of' }), undefined)

  assert.equal(value('parley_runs', { status: 'dead-lettered' }), '0')
  assert.equal(value('parley_runs_oldest_age_seconds', { status: 'queued' }), '0')
  assert.equal(value('parley_broker_dead_letters', {}), '0')
  assert.equal(value('parley_broker_dead_letters_oldest_age_seconds', {}), '0')
  assert.equal(value('parley_live_turns', {}), '0')
  assert.equal(value('parley_model_circuit', { model: 'only', state: 'closed' }), '1')
  assert.equal(value('parley_dependency_up', { dependency: 'state' }), '1')
  assert.ok(Number(value('process_resident_memory_bytes', {})) > 1e6)
  for (const [name, samples] of scraped.samples) {
    const labels = JSON.stringify(samples.map((sample) => sample.labels))
    assert.ok(!labels.includes(asked.turn) && !labels.includes(asked.conversation), `${name} names a turn`)
  }
  const known = new Set(Object.keys(catalogue).map((name) => name.replaceAll('.', '_')))
  for (const name of scraped.types.keys())
    assert.ok(known.has(name) || name === 'target_info', `${name} is in no catalogue`)
})

test('the port of metrics serves metrics alone; the main port serves them to operators', async () => {
  await using route = await startRoute({ only: {} }, { variables: { PARLEY_METRICS_PORT: '0' } })
  const address = route.app.app.metricsAddress ?? ''
  assert.equal((await fetch(address.replace('/metrics', '/api/v1/me'))).status, 404)
  assert.equal((await fetch(address, { method: 'POST' })).status, 405)
  // Whoever sits at this machine has every role.
  assert.ok((await scrape(`${route.app.url}/metrics`)).samples.has('process_cpu_seconds_total'))
})

test('docs/telemetry.md has one row for each metric, and says of it what is registered', () => {
  const rows = [...readFileSync('docs/telemetry.md', 'utf8').matchAll(/^\| `([\w.]+)` \| (\w+) \| (.*?) \|/gm)]
  const types = { counter: 'counter', 'observed-counter': 'counter', histogram: 'histogram', gauge: 'gauge' }
  assert.deepEqual(
    rows.map(([, name, type]) => `${name} ${type}`).sort(),
    Object.entries(catalogue)
      .map(([name, { kind }]) => `${name} ${types[kind]}`)
      .sort(),
  )
})
