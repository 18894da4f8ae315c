import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { createArchive } from '#conversations/archive/create.ts'
import { archiveMigrations } from '#conversations/archive/turns-migration.ts'
import { createKeySafe, type KeySafe } from '#conversations/data-keys/key-safe.ts'
import { dataKeysMigration } from '#conversations/data-keys/migration.ts'
import { startRewrapping } from '#conversations/data-keys/rewrap-all.ts'
import { dataKeyOf } from '#conversations/data-keys/wrapping.ts'
import { DataKeys } from '#conversations/data-keys.ts'
import { openMasterKeys } from '#conversations/master-keys.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { openSql } from '#platform/sql/open.ts'
import type { Migration, Sql } from '#platform/sql/sql.ts'
import { manualClock } from '../support/clock.ts'
import { masterKey, somebody, type TestStore } from '../support/conversations.ts'
import { type PostgresServer, sharedPostgres } from '../support/postgres.ts'
import { dataKeysSuite } from './data-keys.ts'
import { until } from './kv/under-test.ts'

const unreadable = { code: 'sealed_unreadable' }
const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }

let server: PostgresServer
let url: string
let sql: Sql

const openDatabase = (migrations: readonly Migration[], at = url) =>
  openSql({
    env: { engine: 'postgres', url: at, auth: 'url', poolSize: 4 },
    migrations,
    clock: systemClock,
    log,
    tokens,
  })

before(async () => {
  server = await sharedPostgres()
  url = await server.createDatabase()
  sql = await openDatabase([...archiveMigrations, dataKeysMigration])
})
after(async () => {
  await sql.close()
  await server[Symbol.asyncDispose]()
})

dataKeysSuite('SQLite, at home in PostgreSQL', openStore)

async function openStore(): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-keys-'))
  const kv = createKv(new SqliteEngine({ path: join(folder, 'state.db'), clock: manualClock(), log }))
  return {
    kvs: [kv, kv],
    archive: (masterKeys) => createArchive({ sql, masterKeys }),
    atRest: async () => {
      const files = await readdir(folder)
      const keys = await sql.query<{ wrapped: Buffer }>('system', 'SELECT wrapped FROM data_keys WHERE present')
      const found = await Promise.all(files.map((file) => readFile(join(folder, file))))
      return Buffer.concat([...found, ...keys.map(({ wrapped }) => wrapped)])
    },
    close: async () => {
      await kv.close()
      await rm(folder, { recursive: true })
    },
  }
}

describe('data keys at home in PostgreSQL', () => {
  const first = masterKey('first')
  const clock = manualClock()
  let kv: Kv
  let safe: KeySafe

  before(() => {
    safe = createKeySafe(sql)
  })
  beforeEach(loseLiveState)
  after(() => kv.close())

  async function loseLiveState(): Promise<void> {
    await kv?.close()
    kv = createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  }
  async function replica(given: { masters?: (typeof first)[]; safe?: KeySafe | undefined; kv?: Kv } = {}) {
    const masterKeys = await openMasterKeys({
      masterKeys: { source: 'environment', keys: given.masters ?? [first] },
    })
    return new DataKeys({ kv: given.kv ?? kv, masterKeys, clock, safe: 'safe' in given ? given.safe : safe })
  }
  const away: KeySafe = {
    present: unavailable,
    settle: unavailable,
    rewrap: unavailable,
    destroy: unavailable,
  }
  const keysOf = ({ tenant, id }: Principal) =>
    sql.query<{ id: string; present: boolean; master: string }>(
      { tenant },
      'SELECT id, present, master FROM data_keys WHERE owner = $1 ORDER BY id',
      [id],
    )

  it('finds the same key again, though the live state has lost everything', async () => {
    const who = somebody()
    const sealed = (await (await replica()).seal(who)).seal('text', 'here')
    await loseLiveState()
    const later = await (await replica()).seal(who)
    assert.equal(later.unseal(sealed, 'here').toString(), 'text')
    assert.equal((await keysOf(who)).length, 1)
  })

  it('makes one key, whoever needs it first, also while the live state loses it time and again', async () => {
    const who = somebody()
    const replicas = await Promise.all(Array.from({ length: 12 }, () => replica()))
    const seals = await Promise.all(
      replicas.map(async (one, n) => {
        if (n % 3 === 0) await kv.delete(dataKeyOf(who))
        return one.seal(who)
      }),
    )
    const sealed = seals.map((seal) => seal.seal('text', 'here'))
    for (const seal of seals) for (const one of sealed) assert.equal(seal.unseal(one, 'here').toString(), 'text')
    assert.equal((await keysOf(who)).length, 1)
  })

  it('goes on with the copy while the database is away, and without one says what is missing', async () => {
    const [known, unknown] = [somebody(), somebody()]
    const sealed = (await (await replica()).seal(known)).seal('text', 'here')
    const cut = await replica({ safe: away })
    assert.equal((await cut.seal(known)).unseal(sealed, 'here').toString(), 'text')
    await assert.rejects(cut.seal(unknown), { code: 'database_unavailable' })
    await assert.rejects(cut.destroy(known, []), { code: 'database_unavailable' })
    assert.equal((await cut.seal(known)).unseal(sealed, 'here').toString(), 'text')
  })

  it('takes a key of before there was a home there, and until it can goes on without', async () => {
    const who = somebody()
    const sealed = (await (await replica({ safe: undefined })).seal(who)).seal('text', 'here')
    const opens = async (given: { safe?: KeySafe }) =>
      (await (await replica(given)).seal(who)).unseal(sealed, 'here').toString()
    assert.equal(await opens({ safe: away }), 'text')
    assert.deepEqual(await keysOf(who), [])
    assert.equal(await opens({}), 'text')
    await loseLiveState()
    assert.equal(await opens({}), 'text')
  })

  it('wraps anew at home first, and in the copy then', async () => {
    const who = somebody()
    const second = masterKey('second')
    const sealed = (await (await replica()).seal(who)).seal('text', 'here')
    const opens = async (masters: (typeof first)[], given: KeySafe = safe) =>
      (await (await replica({ masters, safe: given })).seal(who)).unseal(sealed, 'here').toString()
    assert.equal(await opens([second, first], away), 'text')
    await assert.rejects(opens([second]), unreadable)
    assert.equal(await opens([second, first]), 'text')
    assert.equal(await opens([second]), 'text')
    await loseLiveState()
    assert.equal(await opens([second]), 'text')
    assert.deepEqual(
      (await keysOf(who)).map(({ master }) => master),
      ['second'],
    )
  })

  it('is put under the present master key for people who do not come, so that the old one can be retired', async () => {
    const people = Array.from({ length: 150 }, somebody)
    const second = masterKey('second')
    const before = await replica()
    const sealed = await Promise.all(people.map(async (who) => (await before.seal(who)).seal('text', 'here')))
    const rewrap = (masters: (typeof first)[]) =>
      startRewrapping({ sql, masterKeys: { source: 'environment', keys: masters }, log })
    const masters = async () => new Set((await Promise.all(people.map(keysOf))).flat().map(({ master }) => master))
    assert.deepEqual(await masters(), new Set(['first']))
    const stop = rewrap([second, first])
    await until(async () => !(await masters()).has('first'))
    await stop()
    // Copies are still under the first.
    const later = await replica({ masters: [second] })
    for (const [n, who] of people.entries()) {
      assert.equal((await later.seal(who)).unseal(sealed[n] ?? Buffer.alloc(0), 'here').toString(), 'text')
    }
  })

  it('is put under a master key that is new while the process runs, and goes on being read meanwhile', async () => {
    const people = Array.from({ length: 3 }, somebody)
    const second = masterKey('second')
    const env = { source: 'environment' as const, keys: [first] }
    const masterKeys = await openMasterKeys({ masterKeys: env })
    const running = new DataKeys({ kv, masterKeys, clock, safe })
    const sealed = await Promise.all(people.map(async (who) => (await running.seal(who)).seal('text', 'here')))
    const masters = async () => new Set((await Promise.all(people.map(keysOf))).flat().map(({ master }) => master))
    let rotated = () => {}
    const onChange = (listener: () => void) => {
      rotated = listener
      return () => {
        rotated = () => assert.fail('told after the end')
      }
    }
    const stop = startRewrapping({ sql, masterKeys: env, log, secrets: { onChange } })
    assert.deepEqual(await masters(), new Set(['first']))
    // The first is not even in the list any more.
    env.keys = [second]
    rotated()
    await until(async () => !(await masters()).has('first'))
    await loseLiveState()
    for (const keys of [running, new DataKeys({ kv, masterKeys, clock, safe }), await replica({ masters: [second] })]) {
      for (const [n, who] of people.entries()) {
        assert.equal((await keys.seal(who)).unseal(sealed[n] ?? Buffer.alloc(0), 'here').toString(), 'text')
      }
    }
    await stop()
  })

  for (const interrupted of ['before the copy is gone', 'before others are told'] as const) {
    it(`destroys a key for good when it is repeated after a crash ${interrupted}`, async () => {
      const who = somebody()
      const one = await replica()
      const sealed = (await one.seal(who)).seal('text', 'here')
      const crashing: Kv = {
        ...kv,
        run: (operation, ...args) => {
          if (operation.name === 'data-key.destroy' && interrupted === 'before the copy is gone')
            throw new Error('crash')
          return kv.run(operation, ...args)
        },
        signal: () => Promise.reject(new Error('crash')),
      }
      await assert.rejects((await replica({ kv: crashing })).destroy(who, []), /crash/)
      assert.deepEqual(await keysOf(who), [])
      await one.destroy(who, [])
      await one.destroy(who, [])
      for (const each of [one, await replica()]) {
        const seal = await each.seal(who)
        assert.throws(() => seal.unseal(sealed, 'here'), { code: 'erased' })
      }
    })
  }

  it('leaves no word about whose a destroyed key was', async () => {
    const who = somebody()
    const one = await replica()
    await one.seal(who)
    const [{ id } = { id: '' }] = await keysOf(who)
    await one.destroy(who, [])
    const left = await sql.query('system', 'SELECT * FROM data_keys WHERE id = $1', [id])
    assert.deepEqual(left, [{ tenant: who.tenant, id, owner: null, wrapped: null, master: null, present: false }])
  })

  it('does not bring a key back that is destroyed while it is being copied', async () => {
    const who = somebody()
    const sealed = (await (await replica()).seal(who)).seal('text', 'here')
    await loseLiveState()
    const other = await replica()
    let isFirst = true
    const slow: Kv = {
      ...kv,
      run: async (operation, ...args) => {
        if (operation.name === 'data-key.copy' && isFirst) {
          isFirst = false
          await other.destroy(who, [])
        }
        return kv.run(operation, ...args)
      },
    }
    const fresh = await (await replica({ kv: slow })).seal(who)
    assert.equal(isFirst, false)
    assert.throws(() => fresh.unseal(sealed, 'here'), { code: 'erased' })
    const again = await (await replica()).seal(who)
    assert.equal(again.unseal(fresh.seal('new', 'here'), 'here').toString(), 'new')
  })

  it('does not take a copy of before there was a home there once it is destroyed', async () => {
    const who = somebody()
    const old = await (await replica({ safe: undefined })).seal(who)
    const sealed = old.seal('text', 'here')
    const other = await replica()
    const late: KeySafe = {
      ...safe,
      settle: async (owner, candidate) => {
        await other.destroy(who, [])
        return safe.settle(owner, candidate)
      },
    }
    const fresh = await (await replica({ safe: late })).seal(who)
    assert.throws(() => fresh.unseal(sealed, 'here'), { code: 'erased' })
  })
})

it('takes over the keys of archived turns, and that some were destroyed', async () => {
  const at = await server.createDatabase()
  const before = await openDatabase(archiveMigrations, at)
  await before.query('system', 'SELECT 1')
  await before.query(
    'system',
    `INSERT INTO turn_keys (tenant, owner, id, wrapped, master)
     VALUES ('t', 'a', 'one', 'x', 'm'), ('t', 'a', 'two', 'y', 'm'), ('t', 'b', 'three', NULL, NULL), ('t', 'b', '', NULL, NULL)`,
  )
  await before.close()
  const now = await openDatabase([...archiveMigrations, dataKeysMigration], at)
  const kept = await now.query(
    'system',
    'SELECT id, owner, wrapped IS NOT NULL AS whole, present FROM data_keys ORDER BY id',
  )
  assert.deepEqual(kept, [
    { id: 'one', owner: 'a', whole: true, present: false },
    { id: 'three', owner: null, whole: false, present: false },
    { id: 'two', owner: 'a', whole: true, present: false },
  ])
  assert.deepEqual(await now.query('system', `SELECT to_regclass('turn_keys') AS gone`), [{ gone: null }])
  const owner = { tenant: 't', id: 'a' }
  const wrapped = randomBytes(8)
  const safe = createKeySafe(now)
  assert.equal((await safe.settle(owner, { id: 'two', wrapped, master: 'n' }))?.id, 'two')
  assert.equal(await safe.settle({ tenant: 't', id: 'b' }, { id: 'three', wrapped, master: 'n' }), undefined)
  await now.close()
})

async function unavailable(): Promise<never> {
  throw new ParleyError('database_unavailable')
}
