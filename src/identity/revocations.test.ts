import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createStops } from '#governance/stops/create.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { capturedLog } from '../../test/support/captured-log.ts'
import { manualClock } from '../../test/support/clock.ts'
import type { Principal } from './principal.ts'
import { createRevocations } from './revocations.ts'

const HOUR_MS = 3_600_000
const admin = { tenant: 't', id: 'admin' }
const principalOf = (id: string, tenant = 't'): Principal => {
  return { tenant, id, name: id, kind: 'user', roles: ['Chat.User'], scopes: [] }
}

test('tokens of before are revoked, of that person alone, for longer than any lasts; later ones stand', async (t) => {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  const stops = await createStops({ kv, clock, log })
  t.after(() => {
    stops.close()
    return kv.close()
  })
  const { revoke, standing } = createRevocations(() => stops, clock)
  const at = clock.now()
  const principal = principalOf('ana')
  let ended = 0
  standing({ principal }, at).onEnded?.(() => {
    ended += 1
  })
  standing({ principal }, at + 5001).onEnded?.(() => assert.fail('it stands'))
  const stop = standing({ principal }, at - 1).onEnded?.(() => assert.fail('who has stopped hearing hears nothing'))
  stop?.()
  const late = standing({ principal }, at)
  await revoke(admin, { tenant: 't', id: 'ana' })
  assert.equal(ended, 1)
  // Who listens only now, such as a stream that opens with the first word of a model that thinks, is told at once.
  late.onEnded?.(() => assert.fail('who has stopped hearing hears nothing'))()
  await new Promise<void>((resolve) => late.onEnded?.(resolve))
  for (const issuedAt of [at - 24 * HOUR_MS, at, at + 5000]) {
    assert.throws(() => standing({ principal }, issuedAt), { code: 'unauthenticated' })
  }
  for (const other of [principalOf('ben'), principalOf('ana', 'elsewhere')]) standing({ principal: other }, at)
  assert.equal(standing({ principal, until: 7 }, at + 5001).until, 7)
  await revoke(admin, { tenant: 't', id: 'ben' })
  assert.equal(ended, 1, 'once')
  clock.advance(24 * HOUR_MS)
  assert.throws(() => standing({ principal }, at), { code: 'unauthenticated' })
  clock.advance(HOUR_MS)
  assert.equal(standing({ principal }, at).principal, principal)
  assert.doesNotMatch(JSON.stringify(lines), /"ana"|person:/)
})
