import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import { migrations } from '../../src/migrations.ts'
import { sharedPostgres } from '../support/postgres.ts'

/** What holds no tenant's data: which migrations were applied. */
const NOBODYS = ['parley_migrations']

const TABLES = `
SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS guarded,
  EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant' AND a.attnotnull) AS "hasTenant",
  ARRAY(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1) AS policies
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1`
const ROLES = `
SELECT rolname AS name FROM pg_roles WHERE rolname IN ('parley_tenant', 'parley_system') AND NOT rolsuper AND NOT rolbypassrls
ORDER BY 1`

test('every table carries the tenant and shows its rows to that tenant alone, under roles that cannot get past it', async () => {
  await using postgres = await sharedPostgres()
  const sql = await openSql({
    env: { engine: 'postgres', url: await postgres.createDatabase(), auth: 'url', poolSize: 1 },
    ...{ migrations, clock: systemClock, log: createLog('silent') },
    tokens: { token: async () => ({ token: '', expiresAt: 0 }) },
  })
  try {
    const tables = await sql.query<{ name: string }>('system', TABLES)
    assert.ok(tables.length > NOBODYS.length)
    const policies = ['all_rows', 'own_rows']
    for (const table of tables.filter(({ name }) => !NOBODYS.includes(name))) {
      assert.deepEqual(table, { name: table.name, guarded: true, hasTenant: true, policies })
    }
    assert.deepEqual(await sql.query('system', ROLES), [{ name: 'parley_system' }, { name: 'parley_tenant' }])
  } finally {
    await sql.close()
  }
})
