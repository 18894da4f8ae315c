import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScriptedConfig } from '../../../test/support/scripted-config.ts'
import { startTransport } from '../../../test/support/transport-server.ts'
import { registerConfigApi } from '../config-api.ts'

const path = '/api/v1/config/events'
const KEY = 'a key of Event Grid'

function start(config: ScriptedConfig, key: string | undefined = KEY) {
  config.env.eventGridKey = key
  return startTransport((server, log) => registerConfigApi(server, config, log), {
    authenticate: () => assert.fail('asked who is calling'),
  })
}

const post = (body: unknown, headers: Record<string, string> = { 'x-parley-key': KEY }): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  body: JSON.stringify(body),
})
const created = {
  id: '1',
  eventType: 'Microsoft.Storage.BlobCreated',
  subject: '/x',
  data: { url: 'https://x/v3.yaml' },
}

test('an event has the container looked at, whichever way the key is sent', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  const asked = [
    fetch(transport.url + path, post([created])),
    fetch(transport.url + path, post([created], { 'aeg-sas-key': KEY })),
    fetch(`${transport.url}${path}?key=${encodeURIComponent(KEY)}`, post([created], {})),
  ]
  for (const response of await Promise.all(asked)) assert.equal(response.status, 202)
  assert.deepEqual(config.asked, [['refresh'], ['refresh'], ['refresh']])
})

test('CloudEvents are heard as well, one or several', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  const event = { specversion: '1.0', type: 'Microsoft.Storage.BlobCreated', source: '/x', id: '1', data: {} }
  const headers = (type: string) => ({ 'x-parley-key': KEY, 'content-type': type })
  const one = await fetch(transport.url + path, post(event, headers('application/cloudevents+json; charset=utf-8')))
  const several = await fetch(transport.url + path, post([event], headers('application/cloudevents-batch+json')))
  assert.deepEqual([one.status, several.status], [202, 202])
  assert.equal(config.asked.length, 2)
})

test('the handshakes: a validation event gets its code, an OPTIONS its origin', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  const eventType = 'Microsoft.EventGrid.SubscriptionValidationEvent'
  const validation = await fetch(
    transport.url + path,
    post([{ id: '1', eventType, data: { validationCode: '512d38b6' } }]),
  )
  assert.equal(validation.status, 200)
  assert.deepEqual(await validation.json(), { validationResponse: '512d38b6' })
  assert.deepEqual(config.asked, [])
  const headers = { 'webhook-request-origin': 'eventgrid.azure.net' }
  const options = await fetch(transport.url + path, { method: 'OPTIONS', headers })
  assert.equal(options.status, 200)
  assert.equal(options.headers.get('webhook-allowed-origin'), 'eventgrid.azure.net')
  assert.equal((await fetch(transport.url + path, { method: 'OPTIONS' })).status, 400)
})

test('without the key nothing is heard, not even a handshake', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  const eventType = 'Microsoft.EventGrid.SubscriptionValidationEvent'
  for (const headers of [{}, { 'x-parley-key': '' }, { 'x-parley-key': `${KEY}.` }] as Record<string, string>[]) {
    assert.equal((await fetch(transport.url + path, post([created], headers))).status, 401)
    const validation = post([{ eventType, data: { validationCode: 'x' } }], headers)
    assert.equal((await fetch(transport.url + path, validation)).status, 401)
  }
  const twice = await fetch(`${transport.url}${path}?key=${encodeURIComponent(KEY)}&key=x`, post([created], {}))
  assert.equal(twice.status, 401)
  assert.deepEqual(config.asked, [])
})

test('what is no event is none', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  assert.equal((await fetch(transport.url + path, post(null))).status, 202)
  assert.equal((await fetch(transport.url + path, post([null, 7]))).status, 202)
  const text = await fetch(transport.url + path, { ...post([]), body: '{' })
  assert.equal(text.status, 400)
})

test('the address is not there unless a key is set', async () => {
  const config = new ScriptedConfig()
  await using transport = await startTransport((server, log) => registerConfigApi(server, config, log))
  assert.equal((await fetch(transport.url + path, post([created]))).status, 404)
})
