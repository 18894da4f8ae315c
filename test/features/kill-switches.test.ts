import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { collect, nativeClient } from '../support/native-client.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { startUpstream } from '../support/upstream.ts'

/** PGlite takes seconds to open. */
async function database(opened: AsyncDisposableStack): Promise<Record<string, string>> {
  const postgres = opened.use(await sharedPostgres())
  return { DATABASE_URL: await postgres.createDatabase() }
}

test('a turn and a completion under way end when their model is stopped; others go on, and new ones are refused', async () => {
  await using opened = new AsyncDisposableStack()
  const upstream = await startUpstream(() => ({ tokens: 100_000, pace: 50 }))
  opened.defer(() => upstream.close())
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) })
  const app = opened.use(
    await startApp({ config, variables: { PARLEY_EGRESS_HOSTS: upstream.host, ...(await database(opened)) } }),
  )
  const { call, conversation, stream } = nativeClient(app.url)
  const turn = await stream(await conversation('helper'), 'go on and on')
  const first = await turn.events.next()
  assert.equal(first.done, false)
  const relayed = await fetch(`${app.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'default', stream: true, messages: [{ role: 'user', content: 'hello' }] }),
  })
  assert.equal(relayed.status, 200)

  const other = await call('PUT', '/api/v1/kill-switches/model:backup', { reason: 'another one' })
  assert.equal(other.status, 200, JSON.stringify(other.body))
  const set = await call('PUT', '/api/v1/kill-switches/model:primary', { reason: 'a drill' })
  assert.equal(set.status, 200, JSON.stringify(set.body))
  const last = (await collect(turn.events)).at(-1)
  assert.equal(last?.type, 'turn.failed')
  assert.equal(Object(last?.data).error.code, 'killed')
  assert.match(await relayed.text(), /"code":"killed"/)

  const { body: listed } = await call('GET', '/api/v1/kill-switches')
  assert.deepEqual(listed.items.map(({ scope }: { scope: string }) => scope).sort(), ['model:backup', 'model:primary'])
  const refused = await call('POST', '/v1/chat/completions', {
    model: 'default',
    messages: [{ role: 'user', content: 'x' }],
  })
  assert.equal(refused.status, 503)
  assert.equal(refused.body.error.code, 'killed')

  assert.equal((await call('PUT', '/api/v1/kill-switches/all', { reason: 'everything' })).status, 200)
  const id = await conversation('helper')
  const none = await call('POST', `/api/v1/conversations/${id}/turns`, { message: 'hello' })
  assert.equal(none.status, 503)
  assert.equal(none.body.error.code, 'killed')
  assert.equal((await call('PUT', '/api/v1/kill-switches/nonsense', { reason: 'x' })).status, 400)
  assert.equal((await call('DELETE', '/api/v1/kill-switches/tenant:nobody')).status, 404)
  for (const scope of ['all', 'model:primary', 'model:backup']) {
    assert.equal((await call('DELETE', `/api/v1/kill-switches/${scope}`)).status, 204)
  }
  const again = await stream(id, 'hello')
  assert.equal((await again.events.next()).done, false)
  assert.equal((await call('POST', `/api/v1/turns/${again.turn}/cancel`)).status, 202)
  assert.equal((await collect(again.events)).at(-1)?.type, 'turn.cancelled')
})

test('only operators of the home tenant stop anything', async () => {
  await using opened = new AsyncDisposableStack()
  const app = opened.use(await startEntraApp({ variables: await database(opened) }))
  const { call } = nativeClient(app.url)
  for (const caller of [
    { oid: 'user' },
    { oid: 'guest', tenant: app.issuer.guest, roles: ['Config.Operator', 'Admin'] },
  ]) {
    const headers = await app.as(caller)
    assert.equal((await call('PUT', '/api/v1/kill-switches/all', { reason: 'mine' }, headers)).status, 403)
  }
  const operator = await app.as({ oid: 'operator', roles: ['Config.Operator'] })
  // Ids of Entra ID are taken however they are written.
  const path = `/api/v1/kill-switches/tenant:${app.issuer.home.id.toUpperCase()}`
  assert.equal((await call('PUT', path, { reason: 'drill' }, operator)).body.scope, `tenant:${app.issuer.home.id}`)
  const complete = { model: 'default', messages: [{ role: 'user', content: 'x' }] }
  assert.equal((await call('POST', '/v1/chat/completions', complete, await app.as({ oid: 'user' }))).status, 503)
  assert.equal((await call('DELETE', path, undefined, operator)).status, 204)
})
