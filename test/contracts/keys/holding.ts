import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { newId } from '#ids.ts'
import { newKeyText } from '../../../src/identity/keys/key-text.ts'
import type { Check } from '../sql/under-test.ts'
import { code, DAY_MS, keysAtHand, made, person, refused, taken } from './grounds.ts'

/** Whoever comes with a key. */
export function holdingContract(check: Check): void {
  check('a key is a service of its own, in the tenant of who made it, that talks and does no more', async (sql) => {
    await using both = await keysAtHand(sql)
    const ana = {
      ...person(randomUUID(), 'ana', ['Chat.User', 'Action.Approver', 'Config.Operator', 'Admin']),
      groups: ['g'],
    }
    const budget = { limitUsd: 5, period: 'month' } as const
    const key = await made(both.here, ana, { chat: ['hermes'], actions: ['create_ticket'], budget })
    const { principal, until } = await taken(both.there, key.text)
    assert.deepEqual(principal, {
      ...{ tenant: ana.tenant, id: key.id, name: 'nightly report', kind: 'service', roles: ['Chat.User'], scopes: [] },
      groups: ['g'],
      key: { owner: 'ana', chat: ['hermes'], actions: ['create_ticket'], budget },
    })
    assert.equal(until, key.expiresAt)
    // Whoever is in more groups than were named is so by a key, too: what is not known of is refused, not forgotten.
    const many = await made(both.here, { ...ana, groupsAmong: ['g', 'h'] })
    const of = (await taken(both.there, many.text)).principal
    assert.deepEqual([of.groups, of.groupsAmong], [['g'], ['g', 'h']])
    assert.equal(key.expiresAt, both.clock.now() + 90 * DAY_MS)
    assert.equal(await both.there.isLive(principal), true)
  })

  check('of the text nothing is kept, and the row is its tenant’s alone', async (sql) => {
    await using both = await keysAtHand(sql)
    const key = await made(both.here, person(randomUUID()))
    const [row] = await sql.query('system', 'SELECT k::text AS kept, hash FROM parley_keys k WHERE id = $1', [key.id])
    const elsewhere = { tenant: randomUUID() }
    assert.deepEqual(await sql.query(elsewhere, 'SELECT id FROM parley_keys WHERE id = $1', [key.id]), [])
    const secret = key.text.slice(-72)
    assert.ok(!String(row?.kept).includes(secret.slice(0, 16)))
    assert.ok(row?.hash instanceof Buffer && row.hash.length === 32)
  })

  check('whoever is known costs no question, and a use is noted once an hour', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, asked, pass, clock, leap } = both
    const ana = person(randomUUID())
    const key = await made(here, ana)
    await taken(here, key.text)
    await pass(250)
    const before = asked.count
    for (let time = 0; time < 1000; time++) assert.ok(!(here.verify(key.text) instanceof Promise))
    assert.equal(asked.count, before)
    const noted = async (usedAt: number) => {
      while ((await here.get(ana, key.id)).usedAt !== usedAt) await pass(250)
    }
    const first = clock.now() - 250
    await noted(first)
    leap(first + 60 * 60_000 - 1 - clock.now())
    await taken(here, key.text)
    await pass(1)
    assert.equal((await here.get(ana, key.id)).usedAt, first)
    await taken(here, key.text)
    await noted(first + 60 * 60_000)
  })

  check('what is no key is told so, without a question where it cannot be one', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, asked } = both
    const key = await made(here, person(randomUUID()))
    const before = asked.count
    const broken = 'This is not a Parley key, or not all of one.'
    for (const text of [key.text.slice(0, -1), `${key.text}0`, 'parley_', `parley_${'0'.repeat(105)}`]) {
      assert.equal(await refused(here, text), broken)
    }
    assert.equal(asked.count, before)
    const unknown = 'There is no such key.'
    assert.equal(await refused(here, newKeyText(newId('key'))), unknown)
    // The same words for a wrong secret of a key that there is, known to this replica or not.
    assert.equal(await refused(here, newKeyText(key.id)), unknown)
    await taken(here, key.text)
    assert.equal(await refused(here, newKeyText(key.id)), unknown)
    await taken(here, key.text)
  })

  check('where there is no database yet there are no keys, and none is opened to find out', async (sql) => {
    await using both = await keysAtHand(sql)
    const { asked, replica } = both
    const { keys, withdrawals } = await replica(false)
    assert.equal(await refused(keys, newKeyText(newId('key'))), 'There is no such key.')
    assert.deepEqual(await keys.list(person('t'), { whose: 'mine', limit: 10 }), { items: [], next: null })
    await assert.rejects(keys.get(person('t'), newId('key')), code('key_not_found'))
    assert.equal(await keys.disown({ tenant: 't', id: 'ana' }), 0)
    assert.equal(asked.count, 0)
    withdrawals.close()
    await keys.close()
  })

  check('a key of a tenant that is served no more is refused as its tokens are', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, replica } = both
    const [gone, home] = [randomUUID(), randomUUID()]
    const [theirs, ours] = [await made(here, person(gone)), await made(here, person(home))]
    const { principal } = await taken(here, theirs.text)
    const { keys, withdrawals } = await replica(true, (tenant) => tenant === home)
    try {
      // The second time it is known to this replica.
      for (let time = 0; time < 2; time++) {
        assert.equal(await refused(keys, theirs.text), 'Tokens of this tenant are not accepted.')
      }
      assert.equal(await keys.isLive(principal), false)
      assert.equal(await refused(keys, newKeyText(theirs.id)), 'There is no such key.')
      assert.equal(await keys.isLive((await taken(keys, ours.text)).principal), true)
      assert.equal(await here.isLive((await taken(here, theirs.text)).principal), true)
    } finally {
      withdrawals.close()
      await keys.close()
    }
  })

  check('it expires to the millisecond, and what is open by it ends then', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, pass, leap } = both
    const key = await made(here, person(randomUUID()), { days: 1 })
    leap(DAY_MS - 1)
    const { principal, onEnded } = await taken(here, key.text)
    let ended = 0
    onEnded?.(() => {
      ended += 1
    })
    assert.equal(ended, 0)
    await pass(1)
    assert.equal(await refused(here, key.text), 'The key has expired.')
    assert.equal(await here.isLive(principal), false)
    await pass(500)
    assert.equal(ended, 1)
  })

  check('with the database away a key that is known goes on for ten minutes, and others wait', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, there, away, pass, leap } = both
    const key = await made(here, person(randomUUID()))
    await taken(here, key.text)
    away.sql = true
    assert.equal(await refused(there, key.text), 'database_unavailable')
    leap(9 * 60_000)
    await taken(here, key.text)
    leap(60_000)
    assert.equal(await refused(here, key.text), 'database_unavailable')
    away.sql = false
    await taken(here, key.text)
    await pass(250)
  })

  check('without word from the store for a second no key is taken, and what is open by one ends', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, away, pass } = both
    const key = await made(here, person(randomUUID()))
    const { onEnded, principal } = await taken(here, key.text)
    let ended = 0
    const stop = onEnded?.(() => {
      ended += 1
    })
    const stopOther = onEnded?.(() => assert.fail('who has stopped hearing hears nothing'))
    stopOther?.()
    away.kv = true
    await pass(750)
    await taken(here, key.text)
    await pass(250)
    assert.equal(await refused(here, key.text), 'state_unavailable')
    await assert.rejects(here.isLive(principal), code('state_unavailable'))
    assert.equal(ended, 0)
    await pass(500)
    assert.equal(ended, 1)
    away.kv = false
    await taken(here, key.text)
    stop?.()
  })
}
