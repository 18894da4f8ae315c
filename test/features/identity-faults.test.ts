import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { until } from '../contracts/kv/under-test.ts'
import { capturedLog } from '../support/captured-log.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { startOidcIssuer } from '../support/oidc-issuer.ts'
import { sseEvents } from '../support/sse.ts'
import { startUpstream } from '../support/upstream.ts'

test('with the authority away, and with its keys rotated, what was begun goes on and known keys let people in; without any nobody gets in', async () => {
  await using opened = new AsyncDisposableStack()
  await using issuer = await startOidcIssuer()
  const upstream = await startUpstream(() => ({ tokens: 100_000, pace: 50 }))
  opened.defer(() => upstream.close())
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) })
  const variables = { PARLEY_EGRESS_HOSTS: upstream.host }
  const { log, lines } = capturedLog()
  const [app, late] = [
    opened.use(await startEntraApp({ issuer, config, variables })),
    opened.use(await startEntraApp({ issuer, config, log, variables })),
  ]
  const { call } = nativeClient(app.url)
  const ana = await app.as({ oid: 'ana' })
  const another = await app.as({ oid: randomUUID() })
  const { body } = await call('POST', '/api/v1/conversations', { specialist: 'plain' }, ana)
  const turn = await fetch(`${app.url}/api/v1/conversations/${body.id}/turns`, {
    method: 'POST',
    headers: { ...ana, 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ message: 'go on and on' }),
  })
  const reader = sseEvents(turn.body)
  assert.equal((await reader.next()).done, false)

  issuer.down = true
  issuer.home.rotate()
  assert.equal((await call('GET', '/api/v1/me', undefined, ana)).status, 200, 'known already')
  assert.equal((await call('GET', '/api/v1/me', undefined, another)).status, 200, 'by a key that is known')
  const unknown = await call('GET', '/api/v1/me', undefined, await app.as({ oid: 'ana' }))
  assert.deepEqual(
    [unknown.status, unknown.body.error.code],
    [401, 'unauthenticated'],
    'by a key that nobody can look up',
  )
  for (let seen = 0; seen < 20; seen++) assert.equal((await reader.next()).value?.type, 'token')

  // One that has never had any keys says so, and when to come back.
  const tryLate = () => nativeClient(late.url).call('GET', '/api/v1/me', undefined, another)
  const refused = await tryLate()
  assert.deepEqual([refused.status, refused.body.error.code], [503, 'identity_unavailable'])
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  await until(async () => {
    await tryLate()
    return lines.some(({ kind, severity }) => kind === 'identity.away' && severity === 'critical')
  })
  issuer.down = false
  const cancelled = await call('POST', `/api/v1/turns/${turn.headers.get('x-parley-turn')}/cancel`, undefined, ana)
  assert.equal(cancelled.status, 202)
  assert.equal((await Array.fromAsync(reader)).at(-1)?.type, 'turn.cancelled')
})
