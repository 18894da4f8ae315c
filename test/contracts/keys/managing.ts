import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { keyLimits } from '#identity/keys.ts'
import { newId } from '#ids.ts'
import type { Check } from '../sql/under-test.ts'
import { code, DAY_MS, keysAtHand, made, person, refused, taken, wish } from './grounds.ts'

const OLD = 'The key was rotated; this is its old text.'
const REVOKED = 'The key was revoked.'
const MINUTE_MS = 60_000

/** Who makes keys, and what becomes of them. */
export function managingContract(check: Check): void {
  check(
    'revoked here, refused everywhere within half a second, without asking the database, and what is open ends',
    async (sql) => {
      await using both = await keysAtHand(sql)
      const { here, there, pass, asked, done } = both
      const ana = person(randomUUID())
      const [key, other] = [await made(here, ana), await made(here, ana)]
      await taken(here, key.text)
      const { onEnded, principal } = await taken(there, key.text)
      const otherOnes = await taken(there, other.text)
      await pass(250)
      let ended = 0
      onEnded?.(() => {
        ended += 1
      })
      const stop = otherOnes.onEnded?.(() => assert.fail('another key'))
      await here.revoke(ana, key.id)
      const before = asked.count
      assert.equal(await refused(here, key.text), REVOKED)
      await pass(500)
      assert.equal(ended, 1)
      assert.equal(await refused(there, key.text), REVOKED)
      assert.equal(asked.count, before)
      assert.equal(await there.isLive(principal), false)
      await taken(there, other.text)
      stop?.()
      const { status, revokedAt } = await here.get(ana, key.id)
      assert.deepEqual([status, revokedAt], ['revoked', both.clock.now() - 500])
      await here.revoke(ana, key.id)
      assert.deepEqual(
        done.map(({ kind, by, key: id }) => [kind, by?.id, id === key.id]),
        [
          ['created', ana.id, true],
          ['created', ana.id, false],
          ['revoked', ana.id, true],
        ],
      )
      // Long after the store has forgotten.
      await pass(1000)
      both.leap(DAY_MS)
      assert.equal(await refused(there, key.text), REVOKED)
    },
  )

  check(
    'with the store away a key is revoked in the database all the same, and that is to be asked for again',
    async (sql) => {
      await using both = await keysAtHand(sql)
      const { here, there, away, pass } = both
      const ana = person(randomUUID())
      const key = await made(here, ana)
      await taken(there, key.text)
      away.kv = true
      await assert.rejects(here.revoke(ana, key.id), code('state_unavailable'))
      away.kv = false
      // Who had not met it yet.
      assert.equal(await refused(here, key.text), REVOKED)
      // Who had goes by what it knows, for a minute at most.
      await taken(there, key.text)
      await here.revoke(ana, key.id)
      await pass(500)
      assert.equal(await refused(there, key.text), REVOKED)
    },
  )

  check('what cannot be recorded is not done, but for the withdrawal', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, away } = both
    const ana = person(randomUUID())
    const key = await made(here, ana)
    away.record = true
    await assert.rejects(here.create(ana, wish), code('database_unavailable'))
    await assert.rejects(here.rotate(ana, key.id, { overlapMinutes: 1 }, 1), code('database_unavailable'))
    await taken(here, key.text)
    await assert.rejects(here.revoke(ana, key.id), code('database_unavailable'))
    assert.equal((await here.get(ana, key.id)).status, 'live')
    assert.equal(await refused(here, key.text), REVOKED)
    assert.equal((await here.list(ana, { whose: 'mine', limit: 10 })).items.length, 1)
  })

  check(
    'rotated, both texts are good until the overlap is over, and what is open by the old one ends with it',
    async (sql) => {
      await using both = await keysAtHand(sql)
      const { here, there, pass, clock } = both
      const ana = person(randomUUID())
      const key = await made(here, ana)
      const { onEnded } = await taken(there, key.text)
      let ended = 0
      onEnded?.(() => {
        ended += 1
      })
      const { view, text = '' } = await here.rotate(ana, key.id, { overlapMinutes: 2 }, 1)
      assert.equal(view.oldTextUntil, clock.now() + 2 * MINUTE_MS)
      assert.deepEqual([view.version, view.rotatedAt, view.expiresAt], [2, clock.now(), key.expiresAt])
      for (const keys of [here, there]) {
        assert.equal((await taken(keys, text)).until, key.expiresAt)
        assert.equal((await taken(keys, key.text)).until, clock.now() + 2 * MINUTE_MS)
      }
      const newOnes = await taken(there, text)
      const stop = newOnes.onEnded?.(() => assert.fail('the new text goes on'))
      await pass(2 * MINUTE_MS - 250)
      await taken(there, key.text)
      assert.equal(ended, 0)
      await pass(500)
      assert.equal(ended, 1)
      assert.equal(await refused(there, key.text), OLD)
      await taken(there, text)
      assert.equal((await here.get(ana, key.id)).oldTextUntil, null)
      stop?.()
    },
  )

  check('rotated without an overlap, or a second time, the text before ends at once on every replica', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, there, pass } = both
    const ana = person(randomUUID())
    const first = await made(here, ana)
    const principal = (await taken(there, first.text)).principal
    const { text: second = '' } = await here.rotate(ana, first.id, { overlapMinutes: 10 }, 1)
    const { text: third = '' } = await here.rotate(ana, first.id, { overlapMinutes: 10, days: 365 }, 2)
    await pass(250)
    assert.equal(await refused(there, first.text), OLD)
    await taken(there, second)
    await taken(there, third)
    const { text: fourth = '', view } = await here.rotate(ana, first.id, { overlapMinutes: 0 }, 3)
    assert.equal(view.oldTextUntil, null)
    await pass(250)
    for (const old of [second, third]) assert.match(await refused(there, old), /old text|no such key/)
    // The key goes on, whatever this replica knew of its texts.
    assert.equal(await there.isLive(principal), true)
    await taken(there, fourth)
    assert.equal(view.expiresAt, both.clock.now() - 500 + 365 * DAY_MS)
  })

  for (const commit of ['undone', 'unheard'] as const) {
    check(
      `a rotation whose commit is ${commit}: its row says on every replica what is good, and at once`,
      async (sql) => {
        await using both = await keysAtHand(sql)
        const { here, there, away, pass } = both
        const ana = person(randomUUID())
        const key = await made(here, ana)
        let ended = 0
        const stops = await Promise.all(
          [here, there].map(async (keys) => (await taken(keys, key.text)).onEnded?.(() => (ended += 1))),
        )
        away.commit = commit
        await assert.rejects(here.rotate(ana, key.id, { overlapMinutes: 0 }, 1), code('database_unavailable'))
        away.commit = undefined
        for (let time = 0; time < 2; time++) {
          if (commit === 'undone') for (const keys of [here, there]) await taken(keys, key.text)
          else assert.equal(await refused(here, key.text), time === 0 ? OLD : 'There is no such key.')
          await pass(750)
        }
        if (commit === 'undone') assert.equal(ended, 0)
        // The database answers in its own time.
        while (commit === 'unheard' && ended < 2) await pass(250)
        if (commit === 'unheard') return assert.match(await refused(there, key.text), /old text|no such key/)
        // Once somebody set out to end it, it is not taken on trust: neither here nor by who stays.
        away.sql = true
        assert.equal(await refused(there, key.text), 'database_unavailable')
        while (ended < 2) await pass(250)
        away.sql = false
        await taken(there, key.text)
        assert.equal((await here.rotate(ana, key.id, { overlapMinutes: 0 }, 1)).view.version, 2)
        for (const stop of stops) stop?.()
      },
    )
  }

  check('who rotates has seen what there is, made the key, and finds it alive', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, away } = both
    const tenant = randomUUID()
    const ana = person(tenant)
    const admin = person(tenant, 'admin', ['Admin'])
    const key = await made(here, ana)
    const rotate = (by = ana, version = 1) => here.rotate(by, key.id, { overlapMinutes: 0 }, version)
    await assert.rejects(rotate(admin), code('forbidden'))
    await assert.rejects(rotate(person(tenant)), code('key_not_found'))
    await assert.rejects(rotate(ana, 2), code('version_conflict'))
    away.kv = true
    await assert.rejects(rotate(), code('state_unavailable'))
    away.kv = false
    await taken(here, key.text)
    const both2 = await Promise.allSettled([rotate(), rotate()])
    assert.deepEqual(both2.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    await here.revoke(admin, key.id)
    await assert.rejects(rotate(ana, 3), code('key_state'))
  })

  check('a key is its maker’s and the tenant’s Admin’s to see; nobody else’s, of whatever tenant', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here } = both
    const [tenant, elsewhere] = [randomUUID(), randomUUID()]
    const ana = person(tenant, 'ana')
    const admin = person(tenant, 'admin', ['Admin'])
    const key = await made(here, ana)
    await made(here, person(tenant, 'ben'))
    for (const stranger of [person(tenant, 'ben'), person(elsewhere, 'ana'), person(elsewhere, 'x', ['Admin'])]) {
      await assert.rejects(here.get(stranger, key.id), code('key_not_found'))
      await assert.rejects(here.revoke(stranger, key.id), code('key_not_found'))
      const { items } = await here.list(stranger, { whose: 'mine', limit: 10 })
      assert.ok(!items.some(({ id }) => id === key.id))
    }
    await assert.rejects(here.list(ana, { whose: 'tenant', limit: 10 }), code('forbidden'))
    assert.equal((await here.list(admin, { whose: 'tenant', limit: 10 })).items.length, 2)
    const { items } = await here.list(admin, { whose: 'tenant', owner: 'ana', limit: 10 })
    assert.deepEqual(items, [await here.get(admin, key.id)])
    assert.deepEqual((await here.list(person(elsewhere, 'x', ['Admin']), { whose: 'tenant', limit: 10 })).items, [])
  })

  check('keys are made by people, and by no key', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here } = both
    const ana = person(randomUUID())
    await assert.rejects(here.create({ ...ana, kind: 'service' }, wish), code('forbidden'))
    const { principal } = await taken(here, (await made(here, ana)).text)
    await assert.rejects(here.create(principal, wish), code('key_scope'))
    await assert.rejects(here.list(principal, { whose: 'mine', limit: 1 }), code('key_scope'))
    for (const call of [here.get, here.revoke]) await assert.rejects(call(principal, principal.id), code('key_scope'))
    await assert.rejects(here.rotate(principal, principal.id, { overlapMinutes: 0 }, 1), code('key_scope'))
  })

  check('a person has so many, and a tenant; those that have ended do not count', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here } = both
    const tenant = randomUUID()
    const ana = person(tenant)
    const all = await Promise.allSettled(
      Array.from({ length: keyLimits.perOwner + 5 }, () => here.create(ana, { ...wish, days: 1 })),
    )
    assert.equal(all.filter(({ status }) => status === 'fulfilled').length, keyLimits.perOwner)
    for (const one of all) if (one.status === 'rejected') assert.ok(code('too_many_keys')(one.reason))
    const { items } = await here.list(ana, { whose: 'mine', limit: 100 })
    await here.revoke(ana, items[0]?.id ?? '')
    await made(here, ana)
    await assert.rejects(here.create(ana, wish), code('too_many_keys'))
    both.leap(DAY_MS)
    await made(here, ana)

    await sql.query(
      'system',
      `INSERT INTO parley_keys (tenant, id, owner, name, groups, chat, actions, hash, created_at, expires_at)
       SELECT $1, 'key_' || md5($1 || n), 'o' || n, 'n', '{}', '{}', '{}', sha256('x'), 0, $2::bigint
       FROM generate_series(1, $3::integer) AS n`,
      [tenant, both.clock.now() + DAY_MS, keyLimits.perTenant - 3],
    )
    await made(here, person(tenant))
    await assert.rejects(here.create(person(tenant), wish), code('too_many_keys'))
    await made(here, person(randomUUID()))
  })

  check('a person makes so many a day, those that have ended included', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here } = both
    const ana = person(randomUUID())
    await sql.query(
      'system',
      `INSERT INTO parley_keys (tenant, id, owner, name, groups, chat, actions, hash, created_at, expires_at, revoked_at)
       SELECT $1, 'key_' || md5($1 || n), $2, 'n', '{}', '{}', '{}', sha256('x'), $3::bigint, $3::bigint + 1, $3::bigint
       FROM generate_series(1, $4::integer) AS n`,
      [ana.tenant, ana.id, both.clock.now(), keyLimits.perOwnerADay - 1],
    )
    await made(here, ana)
    await assert.rejects(here.create(ana, wish), code('too_many_keys'))
    both.leap(DAY_MS)
    await made(here, ana)
  })

  check('those that ended go after 90 days', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, leap } = both
    const ana = person(randomUUID())
    const ended = await made(here, ana, { days: 1 })
    leap(91 * DAY_MS)
    await made(here, ana)
    assert.equal((await here.get(ana, ended.id)).status, 'expired')
    leap(1)
    await made(here, ana)
    await assert.rejects(here.get(ana, ended.id), code('key_not_found'))
  })

  check('the same request makes one key, and shows its text once', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, there } = both
    const ana = person(randomUUID())
    const again = await Promise.all([here.create(ana, wish, 'r 1'), there.create(ana, wish, 'r 1')])
    assert.equal(again[0]?.view.id, again[1]?.view.id)
    assert.equal(again.filter(({ text }) => text !== undefined).length, 1)
    await assert.rejects(here.create(ana, { ...wish, days: 30 }, 'r 1'), code('idempotency_mismatch'))
    const budget = { limitUsd: 1, period: 'day' } as const
    await assert.rejects(here.create(ana, { ...wish, budget }, 'r 1'), code('idempotency_mismatch'))
    assert.notEqual((await here.create(ana, wish, 'r 2')).view.id, again[0]?.view.id)
    assert.notEqual((await here.create(person(ana.tenant), wish, 'r 1')).view.id, again[0]?.view.id)
    assert.equal(both.done.length, 3)
  })

  check('pages are listed newest first, without a gap', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here } = both
    const ana = person(randomUUID())
    const ids: string[] = []
    for (let time = 0; time < 5; time++) ids.push((await made(here, ana)).id)
    const seen: string[] = []
    for (let cursor: string | null = null; ; ) {
      const page = await here.list(ana, { whose: 'mine', limit: 2, ...(cursor !== null && { cursor }) })
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.next
      if (cursor === null) break
    }
    // Of two that were made within a millisecond, whichever has the greater id.
    assert.deepEqual(seen, ids.toSorted().reverse())
    await assert.rejects(here.get(ana, newId('key')), code('key_not_found'))
  })

  check('whose maker is erased is revoked everywhere, and says no more whose it was', async (sql) => {
    await using both = await keysAtHand(sql)
    const { here, there, pass, done } = both
    const tenant = randomUUID()
    const ana = person(tenant, 'ana')
    const admin = person(tenant, 'admin', ['Admin'])
    const [one, two, others] = [await made(here, ana), await made(here, ana), await made(here, person(tenant))]
    await here.revoke(ana, two.id)
    await taken(there, one.text)
    const listed = await Array.fromAsync(here.ofOwner(ana))
    assert.deepEqual(
      new Map(listed.map(({ id, status }) => [id, status])),
      new Map([
        [two.id, 'revoked'],
        [one.id, 'live'],
      ]),
    )
    assert.equal(await here.disown(ana), 2)
    assert.equal(await here.disown(ana), 0)
    await pass(500)
    assert.equal(await refused(there, one.text), REVOKED)
    await taken(there, others.text)
    const { owner, name, status } = await here.get(admin, one.id)
    assert.deepEqual([owner, name, status], [null, '', 'revoked'])
    assert.deepEqual(await Array.fromAsync(here.ofOwner(ana)), [])
    assert.deepEqual(done.at(-1), {
      ...{ kind: 'revoked', by: null, tenant, key: one.id, details: { because: 'owner erased' } },
    })
  })
}
