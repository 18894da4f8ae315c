import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { createStops } from '#governance/stops/create.ts'
import { createKeptStops, type KeptStops, stopsMigration } from '#governance/stops/kept.ts'
import { type Stop, type Stops, scopesOf, stopError } from '#governance/stops.ts'
import { createLog } from '#log.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { openSql } from '#platform/sql/open.ts'
import { besideEngine, startBothEngines } from '../support/both-engines.ts'
import { manualClock } from '../support/clock.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { until } from '../support/runs-at-hand.ts'

const log = createLog('silent')
const engines = await startBothEngines()
const { redis, sqlite } = engines
after(() => engines[Symbol.asyncDispose]())

const stop = (scope: string, until: number | null = null): Stop => ({
  scope,
  reason: 'a drill',
  by: null,
  at: 0,
  until,
})

/** Two replicas that look when their clocks are turned. */
async function replicas(kv: Kv) {
  const clock = manualClock()
  const away = { is: false }
  const looks: string[] = []
  const reading: Kv = {
    ...kv,
    get: (at) => (away.is ? Promise.reject(new Error('away')) : kv.get(at)),
    put: kv.put.bind(kv),
    run: async (...asked) => {
      if (away.is) throw new Error('away')
      const found = await kv.run(...asked)
      looks.push(found === 'same' ? 'same' : 'read')
      return found
    },
  }
  const here = await createStops({ kv, clock: manualClock(), log })
  const there = await createStops({ kv: reading, clock, log })
  /** What a replica hears within half a second. */
  const look = async () => {
    clock.advance(250)
    await kv.get(key('nothing', 'there'))
    await kv.get(key('nothing', 'there'))
    clock.advance(250)
    await kv.get(key('nothing', 'there'))
    await kv.get(key('nothing', 'there'))
  }
  return {
    here,
    there,
    clock,
    away,
    looks,
    look,
    [Symbol.asyncDispose]: async () => {
      here.close()
      there.close()
      await kv.delete(key('stops', 'state'))
    },
  }
}

for (const kv of [sqlite, redis]) {
  test(`stops on ${kv.engine}: what is stopped here is stopped everywhere within half a second, and lifted likewise`, async () => {
    await using both = await replicas(kv)
    const { here, there, look } = both
    let heard = 0
    there.onChange(() => {
      heard += 1
    })
    await here.set(stop('model:primary'))
    assert.equal(here.found({ model: 'primary' })?.reason, 'a drill')
    await look()
    assert.equal(there.found({ model: 'primary' })?.scope, 'model:primary')
    assert.equal(there.found({ model: 'backup' }), undefined)
    assert.equal(heard, 1)
    assert.equal(await there.lift('model:primary'), true)
    assert.equal(await there.lift('model:primary'), false)
    assert.equal(there.found({ model: 'primary' }), undefined)
  })

  test(`stops on ${kv.engine}: they are read where they changed, and whole once in a while`, async () => {
    await using both = await replicas(kv)
    const { here, there, clock, look, looks } = both
    await here.set(stop('action:a1'))
    looks.length = 0
    await look()
    await look()
    assert.deepEqual(looks, ['read', 'same', 'same', 'same'])
    await here.set(stop('action:a2'))
    await look()
    assert.deepEqual(looks.slice(4), ['read', 'same'])
    // A store that forgot, and came to the same version and the same length.
    await kv.delete(key('stops', 'state'))
    for (const scope of ['action:b1', 'action:b2']) {
      const others = [stop('action:b0'), stop(scope)]
      await kv.put(key('stops', 'state'), Buffer.from(JSON.stringify(others)))
    }
    clock.advance(5000)
    await look()
    assert.deepEqual([there.get('action:a1'), there.get('action:b2')?.reason], [undefined, 'a drill'])
  })

  test(`stops on ${kv.engine}: set at once by two replicas, both hold`, async () => {
    await using both = await replicas(kv)
    const { here, there } = both
    await Promise.all([
      ...Array.from({ length: 4 }, (_, n) => here.set(stop(`action:a${n}`))),
      ...Array.from({ length: 4 }, (_, n) => there.set(stop(`action:b${n}`))),
    ])
    await here.set(stop('all'))
    assert.equal(here.list().length, 9)
  })

  test(`stops on ${kv.engine}: of a hundred withdrawn at once all are, and what stops everything has its turn`, async () => {
    await using both = await replicas(kv)
    const { here, there, look } = both
    const scopes = Array.from({ length: 100 }, (_, n) => `key:key_${n}`)
    await Promise.all([...scopes, 'all'].map((scope) => here.set(stop(scope))))
    await look()
    assert.equal(there.list().length, 101)
  })

  test(`stops on ${kv.engine}: however many texts of keys are withdrawn, there is room for what stops everything, and for keys and people`, async () => {
    await using both = await replicas(kv)
    const full = Array.from({ length: 10_000 }, (_, n) => stop(`secret:${n}`))
    await kv.put(key('stops', 'state'), Buffer.from(JSON.stringify(full)))
    await assert.rejects(both.here.set(stop('secret:one')), { code: 'overloaded' })
    await both.here.set(stop('secret:7'))
    for (const scope of ['all', 'key:key_1', 'person:ana']) {
      await both.here.set(stop(scope))
      assert.ok(both.here.get(scope))
    }
    await both.here.lift('secret:7')
    await both.here.set(stop('secret:one'))
  })

  test(`stops on ${kv.engine}: with the store away they stay in force, and a store that forgot is told again`, async () => {
    await using both = await replicas(kv)
    const { here, there, look, away } = both
    await here.set(stop('tenant:t1'))
    await look()
    away.is = true
    await look()
    const work = { principal: { tenant: 't1', id: 'ana' } }
    assert.ok(there.found(work))
    away.is = false
    await kv.delete(key('stops', 'state'))
    await look()
    assert.match((await kv.get(key('stops', 'state')))?.value.toString() ?? '', /tenant:t1/)
  })

  test(`stops on ${kv.engine}: a store that was set back, as by a failover, lets nothing go that was stopped since`, async () => {
    await using both = await replicas(kv)
    const { here, there, look } = both
    const at = key('stops', 'state')
    await here.set(stop('tenant:t1'))
    const before = await kv.get(at)
    assert.ok(before)
    await here.set(stop('model:primary'))
    await look()
    const setBack = async () => {
      await kv.delete(at)
      assert.equal(await kv.put(at, before.value), before.version)
    }
    await setBack()
    await look()
    assert.ok(there.get('model:primary'))
    assert.match((await kv.get(at))?.value.toString() ?? '', /model:primary/)
    // And before anybody has looked.
    await setBack()
    await here.set(stop('action:a1'))
    await look()
    for (const replica of [here, there]) {
      assert.deepEqual(
        replica
          .list()
          .map(({ scope }) => scope)
          .sort(),
        ['action:a1', 'model:primary', 'tenant:t1'],
      )
    }
    assert.equal(await there.lift('model:primary'), true)
    assert.equal(here.list().length, 3)
    await here.set(stop('action:a2'))
    assert.equal(here.get('model:primary'), undefined)
  })

  test(`stops on ${kv.engine}: one that ends by itself does`, async () => {
    await using both = await replicas(kv)
    const { there, clock } = both
    await there.set(stop('all', clock.now() + 1000))
    assert.ok(there.found({}))
    clock.advance(1000)
    assert.equal(there.found({}), undefined)
    assert.deepEqual(there.list(), [])
  })
}

test('what operators have stopped and revoked outlasts a store that is lost with all who knew of it; what they let go on stays so', async () => {
  await using postgres = await sharedPostgres()
  const env = { engine: 'postgres', url: await postgres.createDatabase(), auth: 'url', poolSize: 1 } as const
  const sql = await openSql({ env, migrations: [stopsMigration], ...besideEngine })
  const home = createKeptStops(sql)
  const away = { is: false }
  const kept: KeptStops = {
    read: () => (away.is ? Promise.reject(new ParleyError('database_unavailable')) : home.read()),
    keep: (...given) => (away.is ? Promise.reject(new ParleyError('database_unavailable')) : home.keep(...given)),
  }
  const clock = manualClock()
  const replica = () => createStops({ kv: sqlite, kept, clock, log })
  const scopes = (stops: Stops) => stops.list().map(({ scope }) => scope)
  const keptNow = (holds: (text: string) => boolean) => until(async () => holds((await home.read())?.text ?? ''))
  const lost = async () => {
    await sqlite.delete(key('stops', 'state'))
    return replica()
  }
  try {
    const first = await replica()
    for (const scope of ['key:key_1', 'model:primary', 'person:ana', 'budget:tenant:t1', 'all']) {
      await first.set(stop(scope))
    }
    await first.lift('all')
    await keptNow((text) => text.includes('person:ana') && !text.includes('all'))
    first.close()
    const second = await lost()
    assert.deepEqual(scopes(second), ['model:primary', 'person:ana'])
    // While the database is away it waits, and is kept after that.
    away.is = true
    await second.lift('model:primary')
    away.is = false
    clock.advance(5000)
    await keptNow((text) => !text.includes('model:primary'))
    second.close()
    // Away at the start: looked up as soon as it is back.
    away.is = true
    const third = await lost()
    assert.deepEqual(scopes(third), [])
    away.is = false
    clock.advance(5000)
    await until(() => {
      clock.advance(250)
      return third.list().length > 0
    })
    assert.deepEqual(scopes(third), ['person:ana'])
    await until(async () => (await sqlite.get(key('stops', 'state')))?.value.includes('person:ana'))
    await third.set(stop('action:a1'))
    assert.deepEqual(scopes(third), ['person:ana', 'action:a1'])
    // Set back, as from a backup, with nobody left who knew more.
    const backup = await sqlite.get(key('stops', 'state'))
    assert.ok(backup)
    await third.set(stop('all'))
    await third.lift('person:ana')
    await keptNow((text) => text.includes('all') && !text.includes('ana'))
    third.close()
    await sqlite.delete(key('stops', 'state'))
    await sqlite.put(key('stops', 'state'), backup.value)
    const fourth = await replica()
    assert.ok(fourth.get('all'))
    assert.match((await sqlite.get(key('stops', 'state')))?.value.toString() ?? '', /"all"/)
    await keptNow((text) => text.includes('all'))
    fourth.close()
  } finally {
    await sqlite.delete(key('stops', 'state'))
    await sql.close()
  }
})

test('work is stopped by whatever it is part of', () => {
  const principal = { tenant: 't', id: 'ana', groups: ['g'] }
  assert.deepEqual(scopesOf({ principal, specialist: 'helper', model: 'primary', action: 'ticket' }), [
    'all',
    'specialist:helper',
    'model:primary',
    'action:ticket',
    'tenant:t',
    'budget:tenant:t',
    'budget:user:t:ana',
    'budget:group:t:g',
  ])
  const key = { owner: 'ana', chat: ['*'], actions: [], budget: null }
  assert.deepEqual(scopesOf({ principal: { tenant: 't', id: 'key_1', key } }), [
    ...['all', 'key:key_1', 'tenant:t'],
    ...['budget:tenant:t', 'budget:user:t:key_1', 'budget:key:t:key_1', 'budget:user:t:ana'],
  ])
  assert.equal(stopError(stop('key:key_1')).code, 'unauthenticated')
  assert.equal(stopError(stop('budget:key:t:key_1')).code, 'budget_exceeded')
  assert.equal(stopError(stop('all')).code, 'killed')
})

test('how long the store has been silent is known, and whether it was out of reach', async () => {
  await using both = await replicas(sqlite)
  const { there, look, away, clock } = both
  await look()
  assert.deepEqual([there.silentMs <= 250, there.isAway], [true, false])
  away.is = true
  await look()
  await look()
  assert.deepEqual([there.silentMs >= 1000, there.isAway], [true, true])
  await assert.rejects(there.look())
  away.is = false
  await there.look()
  assert.deepEqual([there.silentMs, there.isAway], [0, false])
  clock.advance(100)
  assert.equal(there.silentMs, 100)
})
