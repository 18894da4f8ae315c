import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import type { AuditEntry } from '#governance/audit.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import type { TakenAway } from '#identity/take-away.ts'
import { caller, startTransport } from '../../../test/support/transport-server.ts'
import type { Routes } from '../routing.ts'
import { revokeRoute } from './revoke-route.ts'

test('what was done half is noted as well, and asked for again', async () => {
  const noted: AuditEntry[] = []
  const asked: [Owner, Owner][] = []
  const outcomes: TakenAway[] = [
    { ended: null, tokens: 'revoked', fault: new ParleyError('state_unavailable') },
    { ended: 3, tokens: null, fault: new ParleyError('overloaded') },
    { ended: 2, tokens: 'revoked' },
  ]
  const revoke = async (by: Owner, person: Owner) => {
    return outcomes[asked.push([by, person]) - 1] ?? assert.fail('it is asked for no more')
  }
  await using transport = await startTransport(
    (server) => revokeRoute(server as unknown as Routes, revoke, (entry) => noted.push(entry) > 0),
    { authenticate: () => ({ principal: { ...caller, roles: ['Admin'] } }) },
  )
  const id = randomUUID()
  const ask = (person: string) =>
    fetch(`${transport.url}/api/v1/people/sign-out`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ person }),
    })
  for (const nobody of ['ben@contoso.com', 'ben', '', `${id} `, `${id}0`, id.replaceAll('-', '')]) {
    assert.equal((await ask(nobody)).status, 400, nobody)
  }
  assert.equal((await ask(id)).status, 503)
  assert.equal((await ask(id)).status, 503)
  // Tokens have it in lower case.
  const done = await ask(id.toUpperCase())
  assert.deepEqual([done.status, await done.json()], [200, { ended: 2, tokens: 'revoked' }])
  // The tenant is the Admin's own, whatever is asked for.
  const ben = { tenant: caller.tenant, id }
  assert.deepEqual(
    asked.map(([by, person]) => [by.id, person]),
    outcomes.map(() => [caller.id, ben]),
  )
  assert.deepEqual(
    noted.map(({ kind, actor, subject, details }) => [kind, actor, subject, details]),
    outcomes.map(({ ended, tokens }) => {
      return ['sessions.ended', partitionOf(caller), partitionOf(ben), { ended, tokens }]
    }),
  )
})
