import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { defaultLimits } from '#transport/limits.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { nativeClient } from '../support/native-client.ts'

let app: TestApp
let client: ReturnType<typeof nativeClient>

before(async () => {
  app = await startApp()
  client = nativeClient(app.url)
})

after(() => app.stop())

test('capabilities tell what is spoken, and the limits', async () => {
  const { status, body } = await client.call('GET', '/api/capabilities')
  assert.equal(status, 200)
  assert.match(body.version, /^\d+\.\d+\.\d+/)
  assert.deepEqual(body.limits, defaultLimits)
  assert.deepEqual(
    body.apis.map(({ path }: { path: string }) => path),
    ['/api/v1', '/v1', '/ws/v1'],
  )
  assert.deepEqual(body.streaming, ['sse', 'websocket'])
})

test('the specialists of the version that is served are listed', async () => {
  const { body } = await client.call('GET', '/api/v1/specialists')
  assert.deepEqual(
    body.items.map(({ id }: { id: string }) => id),
    ['apollo', 'athena', 'hermes'],
  )
})

test('the process lives and is ready', async () => {
  assert.deepEqual((await client.call('GET', '/health/live')).body, { status: 'ok' })
  const ready = await client.call('GET', '/health/ready')
  assert.deepEqual([ready.status, ready.body], [200, { status: 'ok' }])
})

test('models are listed with their health, and an operator holds and frees their circuits', async () => {
  const listed = await client.call('GET', '/api/v1/models')
  assert.equal(listed.status, 200)
  const primary = listed.body.items.find(({ name }: { name: string }) => name === 'primary')
  assert.deepEqual(primary, {
    name: 'primary',
    provider: 'offline',
    circuit: 'closed',
    held: false,
    firstTokenMs: { p50: null, p95: null },
    calls: 0,
    failures: 0,
    failovers: 0,
    active: 0,
    queued: 0,
    lastFailure: null,
    coolingUntil: null,
  })
  const opened = await client.call('POST', '/api/v1/models/primary/circuit', { state: 'open' })
  assert.deepEqual([opened.status, opened.body.circuit, opened.body.held], [200, 'open', true])
  const freed = await client.call('POST', '/api/v1/models/primary/circuit', { state: 'auto' })
  assert.deepEqual([freed.body.circuit, freed.body.held], ['closed', false])
  const unknown = await client.call('POST', '/api/v1/models/nobody/circuit', { state: 'open' })
  assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'model_not_found'])
  const ajar = await client.call('POST', '/api/v1/models/primary/circuit', { state: 'ajar' })
  assert.deepEqual([ajar.status, ajar.body.error.param], [400, 'state'])
})

test('web pages of other origins and foreign host names are refused', async () => {
  const elsewhere = await client.call('GET', '/api/v1/specialists', undefined, { origin: 'https://evil.example' })
  assert.deepEqual([elsewhere.status, elsewhere.body.error.code], [403, 'cross_site'])
  const own = await client.call('GET', '/api/v1/specialists', undefined, { origin: app.url })
  assert.equal(own.status, 200)
})
