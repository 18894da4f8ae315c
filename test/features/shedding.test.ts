import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { startApp, type TestApp } from '../support/app.ts'
import { nativeClient } from '../support/native-client.ts'
import { parseMetrics } from '../support/prometheus.ts'
import { RpcClient, refusedHandshake } from '../support/rpc-client.ts'

/** What a replica answers that has too much to do; that it comes about under load is shown in shedding-process.test.ts. */

/** With a megabyte to go by, every process holds too much. */
async function startFull(t: { after(work: () => Promise<void>): void }): Promise<TestApp> {
  const app = await startApp({ variables: { PARLEY_MEMORY_MB: '1' } })
  t.after(() => app.stop())
  while ((await fetch(`${app.url}/health/ready`)).status === 200) await setTimeout(20)
  return app
}

test('what is new is refused, on every surface, with the time to come back', async (t) => {
  const { url } = await startFull(t)
  const { call } = nativeClient(url)
  const message = { role: 'user', content: 'Hello' }
  for (const [method, path, body] of [
    ['POST', '/v1/chat/completions', { model: 'apollo', messages: [message] }],
    ['POST', '/api/v1/conversations', { specialist: 'apollo' }],
    ['POST', '/api/v1/conversations/conv_x/turns', { message: 'Hello' }],
    ['GET', '/api/v1/specialists/apollo/stream?message=Hello', undefined],
    ['POST', '/api/v1/actions/calculate/runs', { arguments: { expression: '1' } }],
    ['PUT', '/api/v1/config/versions/v9', {}],
    ['GET', '/nowhere', undefined],
  ] as const) {
    const { status, body: answer, headers } = await call(method, path, body)
    assert.deepEqual([status, answer.error.code], [503, 'overloaded'], path)
    const waitS = Number(headers.get('retry-after'))
    assert.ok(waitS >= 1 && waitS <= 5, `${waitS}`)
  }
  const { status, body } = await refusedHandshake(url, 'apollo')
  assert.deepEqual([status, body.error.code], [503, 'overloaded'])
})

test('probes, what ends something and what goes on with what is under way are served', async (t) => {
  const { url } = await startFull(t)
  const { call } = nativeClient(url)
  assert.equal((await call('GET', '/health/live')).status, 200)
  const ready = await call('GET', '/health/ready')
  assert.deepEqual([ready.status, ready.body], [503, { status: 'unavailable', reason: 'too much to do: memory' }])
  assert.equal((await call('GET', '/api/v1/kill-switches')).status, 200)
  for (const [method, path, code] of [
    ['GET', '/api/v1/turns/turn_x', 'turn_not_found'],
    ['GET', '/api/v1/turns/turn_x/stream', 'turn_not_found'],
    ['POST', '/api/v1/turns/turn_x/cancel', 'turn_not_found'],
    ['POST', '/api/v1/models/nobody/circuit', 'invalid_request'],
  ] as const) {
    assert.equal((await call(method, path, method === 'POST' ? {} : undefined)).body.error.code, code, path)
  }
})

test('metrics tell why, and how much was refused', async (t) => {
  const { url } = await startFull(t)
  const { call } = nativeClient(url)
  for (const _ of [1, 2, 3]) await call('GET', '/v1/models')
  const { samples } = parseMetrics(await (await fetch(`${url}/metrics`)).text())
  const causes = samples.get('parley_shedding')?.map(({ labels, value }) => [labels?.cause, Number(value)])
  assert.deepEqual(
    new Map(causes as [string, number][]),
    new Map([
      ['event loop', 0],
      ['heap', 0],
      ['memory', 1],
    ]),
  )
  assert.equal(Number(samples.get('parley_shed_total')?.[0]?.value), 3)
})

test('on a WebSocket that was open before, a new chat is refused, and a turn can be resumed', async (t) => {
  // 250 ms pass before anything is looked at.
  const app = await startApp({ variables: { PARLEY_MEMORY_MB: '1' } })
  t.after(() => app.stop())
  const client = await RpcClient.connect(app.url, 'apollo')
  while ((await fetch(`${app.url}/health/ready`)).status === 200) await setTimeout(20)
  const refused = await client.call('chat', { message: 'Hello' })
  assert.equal(refused.error?.data?.code, 'overloaded')
  assert.equal((await client.call('resume', { turn: 'turn_x' })).error?.data?.code, 'turn_not_found')
  await client.close()
})
