import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import { createPostgres, type PostgresLimits } from '#platform/sql/postgres.ts'
import type { Migration, Sql } from '#platform/sql/sql.ts'
import { isSettledAtOnce } from '../support/at-once.ts'
import { execute, noOwnPostgres, startPostgres } from '../support/postgres.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { until } from './kv/under-test.ts'
import { tables } from './sql/under-test.ts'

/** What only a server can suffer. */

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
const unavailable = { code: 'database_unavailable' }
const skip = await noOwnPostgres()
const server = await startPostgres({ settings: ['deadlock_timeout=50ms'] })
after(() => server[Symbol.asyncDispose]())

test('a server that is killed: what is on its way is refused, then all at once, until it is back', {
  skip,
}, async () => {
  const sql = await open(await server.createDatabase())
  const onTheirWay = Promise.allSettled(Array.from({ length: 4 }, () => sql.query('system', 'SELECT pg_sleep(60)')))
  await until(async () => (await sleeping()) === 4)
  await server.kill()
  for (const result of await onTheirWay) {
    assert.equal(result.status === 'rejected' && result.reason.code, 'database_unavailable')
  }
  await until(() => !sql.reachable)
  for (const call of [sql.query('system', 'SELECT 1'), sql.transaction('system', (tx) => tx.query('SELECT 1'))]) {
    assert.equal(await isSettledAtOnce(call), true)
    await assert.rejects(call, unavailable)
  }
  await server.start()
  await until(() => sql.reachable)
  assert.deepEqual(await sql.query('system', 'SELECT 1 AS one'), [{ one: 1 }])
  await sql.close()
})

test('a server that is stopped while nobody calls is missed all the same', { skip }, async () => {
  const sql = await open(await server.createDatabase())
  assert.equal(sql.reachable, true)
  await server.stop()
  await until(() => !sql.reachable)
  await server.start()
  await until(() => sql.reachable)
  assert.deepEqual(await sql.query('system', 'SELECT 1 AS one'), [{ one: 1 }])
  await sql.close()
})

test('a server that falls silent is out of reach after a while, and back by itself', { skip }, async () => {
  const sql = await open(await server.createDatabase(), { connectMs: 300, statementMs: 200, graceMs: 100 })
  await until(() =>
    sql.query('system', 'SELECT 1').then(
      () => true,
      () => false,
    ),
  )
  await server.pause()
  const before = performance.now()
  const calls = [
    sql.query('system', 'SELECT 1'),
    sql.transaction('system', (tx) => tx.query('SELECT 1')),
    ...Array.from({ length: 10 }, () => sql.query('system', 'SELECT 1')),
  ]
  await Promise.all(calls.map((call) => assert.rejects(call, unavailable)))
  assert.ok(performance.now() - before >= 250)
  assert.equal(sql.reachable, false)
  const again = sql.query('system', 'SELECT 1')
  assert.equal(await isSettledAtOnce(again), true)
  await assert.rejects(again, unavailable)
  await server.resume()
  await until(() => sql.reachable)
  // Statements have a fifth of a second here, which a busy machine may take for one.
  const one = () => sql.query('system', 'SELECT 1 AS one').catch(() => [])
  await until(async () => (await one()).length === 1)
  await server.pause()
  // Comes to an end though nothing is said.
  await sql.close()
  await server.resume()
})

for (const [state, leave, comeBack] of [
  ['away', server.kill, server.start],
  ['silent', server.pause, server.resume],
] as const) {
  test(`a server that is ${state} at the start: opening resolves all the same, and migrations follow`, {
    skip,
  }, async () => {
    const url = await server.createDatabase()
    await leave()
    const sql = await openPlain(url, [tables], 4, 500)
    assert.equal(sql.reachable, false)
    await assert.rejects(sql.query('system', 'SELECT 1'), unavailable)
    await comeBack()
    await until(() => sql.reachable)
    assert.deepEqual(await sql.query('system', 'SELECT name FROM leases'), [])
    await sql.close()
  })
}

test('migrations that do not fit are told by every call when the server comes late', { skip }, async () => {
  const url = await server.createDatabase()
  await (await openPlain(url, [tables])).close()
  await server.kill()
  const sql = await openPlain(url, [{ ...tables, sql: 'SELECT 1' }], 4, 500)
  await assert.rejects(sql.query('system', 'SELECT 1'), unavailable)
  await server.start()
  await until(async () => {
    const error: unknown = await sql.query('system', 'SELECT 1').catch((thrown) => thrown)
    return error instanceof Error && 'code' in error && error.code === 'environment_invalid'
  })
  assert.equal(sql.reachable, false)
  await sql.close()
})

test('a database that comes back as it once was is migrated again', { skip }, async () => {
  const url = await server.createDatabase()
  const sql = await open(url)
  await execute(url, 'DROP SCHEMA public CASCADE', 'CREATE SCHEMA public', 'GRANT USAGE ON SCHEMA public TO PUBLIC')
  await server.kill()
  await until(() => !sql.reachable)
  await server.start()
  await until(() => sql.reachable)
  assert.deepEqual(await sql.query('system', 'SELECT name FROM leases'), [])
  await sql.close()
})

test('many replicas migrate at once, and each migration is applied once', async () => {
  const url = await server.createDatabase()
  const slow: Migration[] = [
    { name: '0002-count', sql: 'CREATE TABLE counts (n int4); SELECT pg_sleep(0.1)' },
    { name: '0003-first', sql: 'INSERT INTO counts VALUES (1); GRANT SELECT ON counts TO parley_system' },
  ]
  const replicas = await Promise.all(Array.from({ length: 8 }, () => openPlain(url, slow)))
  for (const sql of replicas) {
    assert.equal(sql.reachable, true)
    assert.deepEqual(await sql.query('system', 'SELECT n FROM counts'), [{ n: 1 }])
  }
  await Promise.all(replicas.map((sql) => sql.close()))
})

test('two transactions that lock each other out both come to an end', async () => {
  const sql = await open(await server.createDatabase())
  await sql.query('system', `INSERT INTO leases VALUES ('a', '0'), ('b', '0')`)
  const increment = `UPDATE leases SET holder = holder::int4 + 1 WHERE name = $1`
  const bothHoldOne = Promise.withResolvers<void>()
  let runs = 0
  const cross = (first: string, second: string) =>
    sql.transaction('system', async (tx) => {
      await tx.query(increment, [first])
      runs += 1
      if (runs === 2) bothHoldOne.resolve()
      await bothHoldOne.promise
      await tx.query(increment, [second])
    })
  await Promise.all([cross('a', 'b'), cross('b', 'a')])
  assert.equal(runs, 3)
  const rows = await sql.query('system', 'SELECT name, holder FROM leases ORDER BY name')
  assert.deepEqual(rows, [
    { name: 'a', holder: '2' },
    { name: 'b', holder: '2' },
  ])
  await sql.close()
})

test('tables that change under a replica are read as they are now, by every connection that has read them', async () => {
  const url = await server.createDatabase()
  const sql = await openPlain(url, [tables], 10)
  await sql.query('system', `INSERT INTO leases VALUES ('a', 'me')`)
  const all = 'SELECT * FROM leases'
  /** By each of ten connections. */
  const readByAll = () => {
    const everybody = Promise.withResolvers<void>()
    let reading = 0
    const read = () =>
      sql.transaction('system', async (tx) => {
        const rows = await tx.query(all)
        reading += 1
        if (reading >= 10) everybody.resolve()
        await everybody.promise
        return rows
      })
    return Promise.all(Array.from({ length: 10 }, read))
  }
  const before = { name: 'a', holder: 'me' }
  for (let times = 0; times < 8; times++) assert.deepEqual((await readByAll())[9], [before])
  await execute(url, 'ALTER TABLE leases ADD COLUMN added text')
  assert.deepEqual(await sql.query('system', all), [{ ...before, added: null }])
  await execute(url, 'ALTER TABLE leases DROP COLUMN added')
  for (const rows of await readByAll()) assert.deepEqual(rows, [before])
  assert.equal(sql.reachable, true)
  await sql.close()
})

test('claimers pass over what others hold', async () => {
  const sql = await open(await server.createDatabase())
  await sql.query('system', `INSERT INTO leases SELECT n::text, 'nobody' FROM generate_series(1, 40) AS n`)
  const claim = `
    UPDATE leases SET holder = $1 WHERE name IN (
      SELECT name FROM leases WHERE holder = 'nobody' ORDER BY name LIMIT 5 FOR UPDATE SKIP LOCKED
    ) RETURNING name`
  const allHold = Promise.withResolvers<void>()
  let holding = 0
  const claimed = await Promise.all(
    Array.from({ length: 4 }, (_, n) =>
      sql.transaction('system', async (tx) => {
        const rows = await tx.query<{ name: string }>(claim, [`claimer ${n}`])
        holding += 1
        if (holding === 4) allHold.resolve()
        await allHold.promise
        return rows.map(({ name }) => name)
      }),
    ),
  )
  assert.equal(new Set(claimed.flat()).size, 20)
  await sql.close()
})

test('who waits too long for a connection is refused, and the database still within reach', async () => {
  const sql = await open(await server.createDatabase(), { connectMs: 200 })
  // Held are connections that there are: one may take longer to make than is waited for here.
  const useAll = () => Promise.all(Array.from({ length: 4 }, () => sql.query('system', 'SELECT pg_sleep(0.05)')))
  await until(() =>
    useAll().then(
      () => true,
      () => false,
    ),
  )
  const held = Promise.withResolvers<void>()
  const holders = Array.from({ length: 4 }, () =>
    sql.transaction('system', async (tx) => {
      await tx.query('SELECT 1')
      await held.promise
    }),
  )
  const before = performance.now()
  await assert.rejects(sql.query('system', 'SELECT 1'), unavailable)
  assert.ok(performance.now() - before >= 150)
  assert.equal(sql.reachable, true)
  held.resolve()
  await Promise.all(holders)
  assert.deepEqual(await sql.query('system', 'SELECT 1 AS one'), [{ one: 1 }])
  await sql.close()
})

test('a statement that takes too long is given up, and so is a transaction that says nothing', async () => {
  const url = await server.createDatabase()
  await (await openPlain(url, [tables])).close()
  const sql = await open(url, { statementMs: 300, idleTransactionMs: 100 })
  // The server sleeps for longer than a test may take.
  await assert.rejects(sql.query('system', 'SELECT pg_sleep(300)'), unavailable)
  const idle = sql.transaction('system', async (tx) => {
    const [session] = await tx.query(`SELECT pg_backend_pid() AS pid`)
    await tx.query(`INSERT INTO leases VALUES ('idle', 'me')`)
    const left = `SELECT 1 FROM pg_stat_activity WHERE pid = ${session?.pid}`
    await until(async () => (await execute(server.url, left)).length === 0)
    await tx.query(`INSERT INTO leases VALUES ('late', 'me')`)
  })
  await assert.rejects(idle, unavailable)
  assert.deepEqual(await execute(url, 'SELECT name FROM leases'), [])
  await until(() => sql.reachable)
  await sql.close()
})

test('a session that an administrator ends costs one call', async () => {
  const sql = await open(await server.createDatabase(), {})
  const backend = 'SELECT pg_backend_pid() AS pid'
  const end = (pid: unknown) => execute(server.url, `SELECT pg_terminate_backend(${pid})`)
  const cut = sql.transaction('system', async (tx) => {
    await end((await tx.query(backend))[0]?.pid)
    await tx.query('SELECT 1')
  })
  await assert.rejects(cut, unavailable)
  assert.equal(sql.reachable, true)
  await end((await sql.query('system', backend))[0]?.pid)
  await until(async () => (await sql.query('system', 'SELECT 1').catch(() => [])).length === 1)
  assert.equal(sql.reachable, true)
  await sql.close()
})

test('a server that takes no writes is out of reach, and its connections are left for others', async () => {
  const url = await server.createDatabase()
  const name = new URL(url).pathname.slice(1)
  const sql = await open(url)
  const write = () => sql.query('system', `INSERT INTO leases VALUES (gen_random_uuid()::text, 'me')`)
  await write()
  const endAll = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`
  await execute(server.url, `ALTER DATABASE ${name} SET default_transaction_read_only = on`, endAll)
  await until(async () => (await sql.query('system', 'SELECT 1').catch(() => [])).length === 1)
  await assert.rejects(write(), unavailable)
  await execute(server.url, `ALTER DATABASE ${name} RESET default_transaction_read_only`)
  await until(() =>
    write().then(
      () => true,
      () => false,
    ),
  )
  assert.equal(sql.reachable, true)
  await sql.close()
})

test('a statement is one round trip, and a transaction one for each and one for its end', async () => {
  const url = new URL(await server.createDatabase())
  await using proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) })
  url.port = String(proxy.port)
  const sql = await open(url.href)
  const piecesOf = async (work: () => Promise<unknown>) => {
    const before = proxy.received
    await work()
    return proxy.received - before
  }
  const one = `INSERT INTO leases VALUES ($1, 'me')`
  assert.equal(await piecesOf(() => sql.query('system', one, ['a'])), 1)
  const two = () =>
    sql.transaction('system', async (tx) => {
      await tx.query(one, ['b'])
      await tx.query(one, ['c'])
    })
  assert.equal(await piecesOf(two), 3)
  assert.equal(await piecesOf(() => sql.transaction('system', async () => {})), 0)
  await sql.close()
})

test('a call whose connection breaks before the answer is refused, and not made again', async () => {
  const url = new URL(await server.createDatabase())
  await using proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) })
  const direct = url.href
  url.port = String(proxy.port)
  const sql = await open(url.href)
  const insert = `INSERT INTO leases SELECT 'n' || count(*), 'me' FROM leases`
  await sql.query('system', insert)
  proxy.muteServer()
  const inserted = assert.rejects(sql.query('system', insert), unavailable)
  await until(async () => Number((await execute(direct, 'SELECT count(*) FROM leases'))[0]?.count) === 2)
  proxy.cut()
  await inserted
  await until(() => sql.reachable)
  assert.deepEqual(await sql.query('system', 'SELECT count(*) FROM leases'), [{ count: 2 }])
  await sql.close()
})

test('a database that is not there is one out of reach', { skip }, async () => {
  const sql = await openPlain(server.url.replace(/postgres$/, 'nowhere'), [], 4, 500)
  assert.equal(sql.reachable, false)
  await assert.rejects(sql.query('system', 'SELECT 1'), unavailable)
  await sql.close()
})

/** Migrated, and over a pool of four. */
async function open(url: string, limits: Partial<PostgresLimits> = {}): Promise<Sql> {
  const sql = createPostgres({
    ...{ url: () => url, credential: undefined, poolSize: 4, migrations: [tables], clock: systemClock, log },
    limits,
  })
  await sql.prepare()
  return sql
}

function openPlain(url: string, migrations: readonly Migration[], poolSize = 4, patienceMs = 60_000): Promise<Sql> {
  const env = { engine: 'postgres', url, auth: 'url', poolSize } as const
  return openSql({ env, migrations, patienceMs, clock: systemClock, log, tokens })
}

async function sleeping(): Promise<number> {
  const [row] = await execute(
    server.url,
    `SELECT count(*)::int4 AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'`,
  )
  return Number(row?.n)
}
