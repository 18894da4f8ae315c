import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openKv } from '#platform/kv/open.ts'
import { openSql } from '#platform/sql/open.ts'
import { readEnv } from '../../src/env.ts'
import { execute, noOwnPostgres, startPostgres } from '../support/postgres.ts'
import { command, noOwnRedis, startRedis, startRedisCluster } from '../support/redis.ts'
import { somewhere, until } from './kv/under-test.ts'

/** A store is signed in to with the secret of now, while the process runs: what the environment gives is read at each use. */

const log = createLog('silent')
const tokens = { token: () => Promise.reject(new Error('no token is needed here')) }
const common = { clock: systemClock, log, tokens }
const postgres = await startPostgres({
  files: { 'pg_hba.conf': 'host all app 127.0.0.1/32 password\nhost all all 127.0.0.1/32 trust\n' },
})
after(() => postgres[Symbol.asyncDispose]())

test('Redis: the next connection has the new password, and a refused one is told', {
  skip: await noOwnRedis(),
}, async () => {
  await using server = await startRedis({ args: ['--requirepass', 'first'] })
  const urlOf = (password: string) => server.url.replace('//', `//:${password}@`)
  const variables: Record<string, string> = {
    ...{ REDIS_URL: urlOf('first'), DATABASE_URL: 'postgres://h/p', AZURE_STORAGE_CONNECTION_STRING: 'x' },
    PARLEY_MASTER_KEYS: `a:${randomBytes(32).toString('base64')}`,
  }
  const { kv: env } = readEnv(variables)
  let refused = 0
  const kv = await openKv({ env, ...common, onUnauthorized: () => refused++ })
  const at = somewhere()
  const heard: string[] = []
  await kv.listen(at, (payload) => heard.push(payload))
  assert.equal(await kv.put(at, Buffer.from('v')), 1)
  assert.equal(refused, 0)

  await command(urlOf('first'), 'CONFIG', 'SET', 'requirepass', 'second')
  await command(urlOf('second'), 'CLIENT', 'KILL', 'TYPE', 'normal')
  await command(urlOf('second'), 'CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until(() => refused > 0)
  assert.equal(kv.reachable, false)
  variables.REDIS_URL = urlOf('second')
  await until(() => kv.reachable)
  assert.equal(String((await kv.get(at))?.value), 'v')
  await until(async () => {
    await kv.signal(at, 'heard')
    return heard.length > 0
  })
  await kv.close()
})

test('a cluster of Redis: every node is signed in to anew', { skip: await noOwnRedis() }, async () => {
  await using cluster = await startRedisCluster()
  let url = cluster.url
  const env = {
    engine: 'redis',
    get url() {
      return url
    },
    cluster: true,
    auth: 'url',
  } as const
  const kv = await openKv({ env, ...common })
  await until(() => kv.reachable)
  const with2 = (given: string) => given.replace('//', '//:second@')
  for (const node of cluster.nodes) {
    await command(node.url, 'CONFIG', 'SET', 'requirepass', 'second')
    await command(with2(node.url), 'CLIENT', 'KILL', 'TYPE', 'normal')
  }
  await until(() => !kv.reachable)
  url = with2(cluster.url)
  await until(() => kv.reachable)
  for (let count = 0; count < 20; count++) assert.equal(await kv.put(somewhere(), Buffer.from('v')), 1)
  await kv.close()

  // Also by the first that is asked, before any node is known.
  let refused = 0
  url = cluster.url.replace('//', '//:wrong@')
  const late = await openKv({ env, ...common, patienceMs: 500, onUnauthorized: () => refused++ })
  await until(() => refused > 0)
  assert.deepEqual([late.reachable, refused > 0], [false, true])
  await late.close()
})

test('PostgreSQL: the next connection has the new password', { skip: await noOwnPostgres() }, async () => {
  const url = new URL(await postgres.createDatabase())
  await execute(
    postgres.url,
    `CREATE ROLE app LOGIN CREATEROLE PASSWORD 'first'`,
    `ALTER DATABASE ${url.pathname.slice(1)} OWNER TO app`,
  )
  url.username = 'app'
  url.password = 'first'
  const variables: Record<string, string> = { DATABASE_URL: url.href }
  const { sql: env } = readEnv(variables)
  let refused = 0
  const sql = await openSql({ env, migrations: [], ...common, onUnauthorized: () => refused++ })
  assert.equal((await sql.query('system', 'SELECT 1')).length, 1)
  const endAll = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`
  await execute(postgres.url, `ALTER ROLE app PASSWORD 'second'`, endAll)
  await until(async () => {
    await sql.query('system', 'SELECT 1').catch(() => {})
    return refused > 0
  })
  url.password = 'second'
  variables.DATABASE_URL = url.href
  await until(async () => (await sql.query('system', 'SELECT 1').catch(() => [])).length === 1)
  await sql.close()
})
