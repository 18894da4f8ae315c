import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { createTokenSource } from '#platform/credential.ts'

test('a token comes from the identity that the platform gives, for the scope asked for', async () => {
  const asked: string[] = []
  const expiresAt = Math.ceil(Date.now() / 1000) + 7200
  const platform = createServer((request, response) => {
    asked.push(new URL(request.url ?? '', 'http://localhost').searchParams.get('resource') ?? '')
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ access_token: 'the token', expires_on: String(expiresAt), token_type: 'Bearer' }))
  }).listen(0, '127.0.0.1')
  await once(platform, 'listening')
  const address = platform.address()
  assert.ok(address && typeof address === 'object')
  // As App Service and Container Apps hand out a managed identity.
  process.env.IDENTITY_ENDPOINT = `http://127.0.0.1:${address.port}/token`
  process.env.IDENTITY_HEADER = 'secret'
  try {
    const source = createTokenSource()
    const token = await source.token('https://redis.azure.com/.default')
    assert.equal(token.token, 'the token')
    assert.ok(Math.abs(token.expiresAt - expiresAt * 1000) <= 2000)
    assert.deepEqual(await source.token('https://redis.azure.com/.default'), token)
    assert.ok(asked.every((resource) => resource === 'https://redis.azure.com'))
  } finally {
    platform.close()
    platform.closeAllConnections()
  }
})
