import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { startUpstream } from '../support/upstream.ts'

test('who asks too much is told so, and when to come back, on the native API and on /v1', async () => {
  await using opened = new AsyncDisposableStack()
  const upstream = await startUpstream(() => ({ tokens: 3 }))
  opened.defer(() => upstream.close())
  const app = opened.use(
    await startEntraApp({
      config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
      variables: { PARLEY_EGRESS_HOSTS: upstream.host, PARLEY_LIMIT_REQUESTS_PER_MINUTE: '3' },
    }),
  )
  const ana = await app.as({ oid: 'ana' })
  const { call } = nativeClient(app.url)
  const { body: conversation } = await call('POST', '/api/v1/conversations', { specialist: 'helper' }, ana)
  const say = (headers: Record<string, string>) =>
    call('POST', `/api/v1/conversations/${conversation.id}/turns`, { message: 'hello' }, headers)
  const complete = (headers: Record<string, string>, stream: boolean) =>
    fetch(`${app.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'default', stream, messages: [{ role: 'user', content: 'hello' }] }),
    })

  const said = await say(ana)
  assert.equal(said.status, 200, JSON.stringify(said.body))
  assert.equal(said.headers.get('x-ratelimit-limit-requests'), '3')
  assert.equal(said.headers.get('x-ratelimit-remaining-requests'), '2')
  assert.match(said.headers.get('x-ratelimit-reset-requests') ?? '', /^20s$/)
  assert.equal(said.headers.get('x-ratelimit-limit-tokens'), '100000')
  for (const [stream, left] of [
    [false, '1'],
    [true, '0'],
  ] as const) {
    const completed = await complete(ana, stream)
    assert.equal(completed.status, 200, await completed.text())
    assert.equal(completed.headers.get('x-ratelimit-remaining-requests'), left)
  }
  const refused = await say(ana)
  assert.equal(refused.status, 429)
  assert.equal(refused.body.error.code, 'rate_limited')
  assert.ok(Number(refused.headers.get('retry-after')) >= 1)
  assert.equal(refused.headers.get('x-ratelimit-remaining-requests'), '0')
  const again = await complete(ana, true)
  assert.equal(again.status, 429)
  assert.equal(again.headers.get('x-should-retry'), 'true')
  await again.body?.cancel()
  const ben = await complete(await app.as({ oid: 'ben' }), false)
  assert.equal(ben.status, 200, await ben.text())
})

test('before it is known who calls, an address is limited, by what a trusted proxy says of it; probes are not', async () => {
  await using app = await startApp({
    variables: { PARLEY_LIMIT_ADDRESS_REQUESTS_PER_MINUTE: '2', PARLEY_TRUSTED_PROXIES: '127.0.0.1' },
  })
  const ask = async (from: string, path = '/api/v1/me') => {
    const response = await fetch(app.url + path, { headers: { 'x-forwarded-for': from } })
    await response.body?.cancel()
    return response.status
  }
  const statuses = [await ask('192.0.2.1'), await ask('192.0.2.1'), await ask('192.0.2.1'), await ask('192.0.2.2')]
  assert.deepEqual(statuses, [200, 200, 429, 200])
  for (let n = 0; n < 5; n++) assert.equal(await ask('192.0.2.1', '/health/live'), 200)
})

test('who sits alone at this machine is under no limits unless they are set', async () => {
  await using app = await startApp()
  const { call, conversation } = nativeClient(app.url)
  const id = await conversation('hermes')
  const said = await call('POST', `/api/v1/conversations/${id}/turns`, { message: 'hello' })
  assert.equal(said.status, 200)
  assert.equal(said.headers.get('x-ratelimit-limit-requests'), null)
})
