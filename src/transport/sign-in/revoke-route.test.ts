import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import type { AuditEntry } from '#governance/audit.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import { caller, startTransport } from '../../../test/support/transport-server.ts'
import type { Routes } from '../routing.ts'
import { revokeRoute } from './revoke-route.ts'

test('what was done half is noted as well, and asked for again', async () => {
  const noted: AuditEntry[] = []
  const asked: [Owner, Owner][] = []
  const revoke = async (by: Owner, person: Owner) => {
    if (asked.push([by, person]) === 1) throw new ParleyError('state_unavailable')
    return 2
  }
  await using transport = await startTransport(
    (server) => revokeRoute(server as unknown as Routes, revoke, (entry) => noted.push(entry) > 0),
    { authenticate: () => ({ principal: { ...caller, roles: ['Admin'] } }) },
  )
  const ask = () =>
    fetch(`${transport.url}/api/v1/people/sign-out`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"person":"ben"}',
    })
  assert.equal((await ask()).status, 503)
  const done = await ask()
  assert.deepEqual([done.status, await done.json()], [200, { ended: 2 }])
  // The tenant is the Admin's own, whatever is asked for.
  const ben = { tenant: caller.tenant, id: 'ben' }
  assert.deepEqual(
    asked.map(([by, person]) => [by.id, person]),
    [
      [caller.id, ben],
      [caller.id, ben],
    ],
  )
  assert.deepEqual(
    noted.map(({ kind, actor, subject, details }) => [kind, actor, subject, details]),
    [{ ended: null }, { ended: 2, tokens: 'revoked' }].map((details) => {
      return ['sessions.ended', partitionOf(caller), partitionOf(ben), details]
    }),
  )
})
