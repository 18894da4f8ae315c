import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { startTransport } from '../../../test/support/transport-server.ts'
import type { Routes } from '../routing.ts'
import { healthRoutes } from './health.ts'

test('not ready names the reason; alive stays alive; neither needs a principal', async () => {
  let reason: string | undefined = 'shutting down'
  await using transport = await startTransport((server) => healthRoutes(server as unknown as Routes, () => reason), {
    authenticate: () => Promise.reject(new ParleyError('unauthenticated')),
  })
  const ready = () => fetch(`${transport.url}/health/ready`)
  const refused = await ready()
  assert.equal(refused.status, 503)
  assert.deepEqual(await refused.json(), { status: 'unavailable', reason: 'shutting down' })
  assert.equal((await fetch(`${transport.url}/health/live`)).status, 200)
  reason = undefined
  assert.equal((await ready()).status, 200)
})
