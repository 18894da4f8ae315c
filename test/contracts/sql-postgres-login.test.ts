import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import type { TokenSource } from '#platform/credential.ts'
import { openSql } from '#platform/sql/open.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { localhostCertificate, localhostKey } from '../support/localhost-certificate.ts'
import { execute, noOwnPostgres, startPostgres } from '../support/postgres.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { until } from './kv/under-test.ts'

/** How PostgreSQL is signed in to, and by what line. */

const log = createLog('silent')
const skip = await noOwnPostgres()
const server = await startPostgres({
  settings: ['ssl=on', 'ssl_cert_file=certificate.pem', 'ssl_key_file=key.pem'],
  files: {
    'certificate.pem': localhostCertificate,
    'key.pem': localhostKey,
    'pg_hba.conf': 'host all app 127.0.0.1/32 password\nhost all all 127.0.0.1/32 trust\n',
  },
})
after(() => server[Symbol.asyncDispose]())

test('signs in with a token of its identity, each connection with the token of its time', { skip }, async () => {
  const url = await databaseOfApp('first')
  const scopes: string[] = []
  let token = 'first'
  const sql = await open(url, 'entra', {
    token: async (scope) => {
      scopes.push(scope)
      return { token, expiresAt: 0 }
    },
  })
  assert.equal(sql.reachable, true)
  assert.deepEqual(scopes, ['https://ossrdbms-aad.database.windows.net/.default'])
  await sql.query('system', 'SELECT 1')
  assert.equal(scopes.length, 1)

  token = 'second'
  await execute(server.url, `ALTER ROLE app PASSWORD 'second'`, endSessions)
  await until(async () => (await sql.query('system', 'SELECT 1').catch(() => [])).length === 1)
  // One for each connection: what looks for the database may have made one as well.
  assert.ok(scopes.length > 1)
  await sql.close()
})

test('a token that cannot be had, or is refused, leaves it out of reach until there is one', { skip }, async () => {
  const url = await databaseOfApp('right')
  let asked = 0
  const sql = await open(url, 'entra', {
    token: async () => {
      asked += 1
      if (asked === 1) throw new Error('no identity yet')
      return { token: asked === 2 ? 'wrong' : 'right', expiresAt: 0 }
    },
  })
  assert.equal(sql.reachable, false)
  await assert.rejects(sql.query('system', 'SELECT 1'), { code: 'database_unavailable' })
  await until(() => sql.reachable)
  assert.equal(asked, 3)
  assert.deepEqual(await sql.query('system', 'SELECT 1 AS one'), [{ one: 1 }])
  using sinceAsked = startStopwatch()
  await sql.close()
  // No connection is left that could not sign in.
  assert.ok(sinceAsked.ms < 1500)
})

test('signs in with the password of the URL where the environment says so', { skip }, async () => {
  const url = await databaseOfApp('secret')
  const noTokens: TokenSource = {
    token: async () => {
      throw new Error('nobody asked for a token')
    },
  }
  const right = await open(url.replace('app@', 'app:secret@'), 'url', noTokens)
  assert.equal(right.reachable, true)
  await right.close()
  const wrong = await open(url.replace('app@', 'app:wrong@'), 'url', noTokens)
  assert.equal(wrong.reachable, false)
  await wrong.close()
})

test('speaks TLS where it should, and only to whom the certificate names', { skip }, async () => {
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, localhostCertificate])
  const isEncrypted = (sql: Sql) =>
    sql.transaction('system', async (tx) => {
      // A session is shown to its own login role.
      await tx.query('RESET ROLE')
      return (await tx.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))[0]?.ssl
    })
  const here = (await databaseOfApp('token')).replace('127.0.0.1', 'localhost')
  const token = { token: async () => ({ token: 'token', expiresAt: 0 }) }
  try {
    const plain = await open(here, 'entra', token)
    assert.equal(await isEncrypted(plain), false)
    await plain.close()
    for (const [auth, url] of [
      ['entra', `${here}?sslmode=verify-full`],
      ['url', `${here.replace('app@', 'app:token@')}?sslmode=verify-full`],
    ] as const) {
      const named = await open(url, auth, token)
      assert.equal(await isEncrypted(named), true)
      await named.close()
      const misnamed = await open(url.replace('localhost', '127.0.0.1'), auth, token)
      assert.equal(misnamed.reachable, false)
      await misnamed.close()
    }
  } finally {
    setDefaultCACertificates(trusted)
  }
})

const endSessions = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`

/** Of a role that signs in with a password, this one. */
async function databaseOfApp(password: string): Promise<string> {
  const url = new URL(await server.createDatabase())
  await execute(
    server.url,
    `DO $$ BEGIN CREATE ROLE app LOGIN CREATEROLE; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    `ALTER ROLE app PASSWORD '${password}'`,
    `ALTER DATABASE ${url.pathname.slice(1)} OWNER TO app`,
  )
  url.username = 'app'
  return url.href
}

function open(url: string, auth: 'url' | 'entra', tokens: TokenSource) {
  return openSql({
    env: { engine: 'postgres', url, auth, poolSize: 2 },
    migrations: [],
    clock: systemClock,
    log,
    tokens,
  })
}
