import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorBody } from '#errors.ts'
import { startApp } from '../support/app.ts'
import { RawClient } from '../support/raw-client.ts'

/** Where nobody signs in, a page of the list acts in the name of whoever sits at this machine: it was named for that. */

const LISTED = 'http://localhost:5173'
const asked = { 'access-control-request-method': 'GET' }

test('a page of the list is served without a token, and no other is', async () => {
  await using app = await startApp({ variables: { PARLEY_CORS_ORIGINS: LISTED } })
  const me = async (headers: Record<string, string>) => {
    const answer = await fetch(`${app.url}/api/v1/me`, { headers })
    await answer.text()
    return [answer.status, answer.headers.get('access-control-allow-origin')]
  }
  assert.deepEqual(await me({ origin: LISTED, 'sec-fetch-site': 'same-site' }), [200, LISTED])
  assert.deepEqual(await me({ origin: LISTED, 'sec-fetch-site': 'cross-site' }), [200, LISTED])
  assert.deepEqual(await me({ origin: 'http://localhost:5174' }), [403, null])
  assert.deepEqual(await me({ 'sec-fetch-site': 'cross-site' }), [403, null])
  const rebound = new RawClient(Number(new URL(app.url).port))
  rebound.send(`GET /api/v1/me HTTP/1.1\r\nhost: rebound.example\r\norigin: ${LISTED}\r\nconnection: close\r\n\r\n`)
  assert.match(await rebound.untilClosed(), /^HTTP\/1\.1 403/)
})

test('without a list nothing is said of origins, and a question is a method that is not there', async () => {
  await using app = await startApp()
  const answer = await fetch(`${app.url}/api/v1/me`, { method: 'OPTIONS', headers: { origin: LISTED, ...asked } })
  const { error } = (await answer.json()) as ErrorBody
  assert.deepEqual([answer.status, error.code], [405, 'method_not_allowed'])
  assert.deepEqual([answer.headers.get('vary'), answer.headers.get('access-control-allow-origin')], [null, null])
})
