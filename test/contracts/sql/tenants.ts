import assert from 'node:assert/strict'
import { ConstraintError, type Sql } from '#platform/sql/sql.ts'
import { type Check, idsOf, insertNote, newTenant } from './under-test.ts'

/** Who sees and changes which rows. */
export function tenants(check: Check): void {
  check('a tenant sees its own rows only, the system those of all', async (sql) => {
    const [a, b] = await two(sql)
    assert.deepEqual(await sql.query(a, 'SELECT tenant, id FROM notes'), [{ ...a, id: 'own' }])
    assert.deepEqual(await idsOf(sql, a, b.tenant), [])
    assert.deepEqual(await idsOf(sql, 'system', a.tenant), ['own'])
    assert.deepEqual(await idsOf(sql, 'system', b.tenant), ['own'])
    const inTransaction = await sql.transaction(a, (tx) => tx.query('SELECT tenant FROM notes'))
    assert.deepEqual(inTransaction, [a])
  })

  check('a tenant neither inserts nor updates nor deletes what is not its own', async (sql) => {
    const [a, b] = await two(sql)
    const refused = (error: unknown) => error instanceof ConstraintError && error.kind === 'row-security'
    await assert.rejects(sql.query(a, insertNote, [b.tenant, 'planted']), refused)
    await assert.rejects(sql.query(a, 'UPDATE notes SET tenant = $1', [b.tenant]), refused)
    assert.deepEqual(
      await sql.query(a, `UPDATE notes SET body = 'changed' WHERE tenant = $1 RETURNING id`, [b.tenant]),
      [],
    )
    assert.deepEqual(await sql.query(a, 'DELETE FROM notes WHERE tenant = $1 RETURNING id', [b.tenant]), [])
    assert.deepEqual(await sql.query(b, 'SELECT id, body FROM notes'), [{ id: 'own', body: '' }])
    await sql.query(a, `UPDATE notes SET body = 'mine'`)
    await sql.query(a, 'DELETE FROM notes')
    assert.deepEqual(await idsOf(sql, a, a.tenant), [])
    assert.deepEqual(await idsOf(sql, b, b.tenant), ['own'])
  })

  check('the system changes rows of every tenant', async (sql) => {
    const [a, b] = await two(sql)
    await sql.query('system', insertNote, [a.tenant, 'by the system'])
    await sql.query('system', 'DELETE FROM notes WHERE tenant = $1', [b.tenant])
    assert.deepEqual(await idsOf(sql, a, a.tenant), ['by the system', 'own'])
    assert.deepEqual(await idsOf(sql, b, b.tenant), [])
  })

  check('neither role can do more than it should', async (sql) => {
    for (const [scope, role] of [
      [newTenant(), 'parley_tenant'],
      ['system', 'parley_system'],
    ] as const) {
      const [row] = await sql.query(
        scope,
        'SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreaterole FROM pg_roles WHERE rolname = current_user',
      )
      const nothing = { rolsuper: false, rolbypassrls: false, rolcanlogin: false, rolcreaterole: false }
      assert.deepEqual(row, { rolname: role, ...nothing })
      await assert.rejects(sql.query(scope, 'ALTER TABLE notes DISABLE ROW LEVEL SECURITY'), { code: '42501' })
      await assert.rejects(sql.query(scope, 'TRUNCATE notes'), { code: '42501' })
    }
  })

  check('the login role, which owns the tables and is a member of both roles, sees and takes nothing', async (sql) => {
    await two(sql)
    const withoutRole = (statement: string) =>
      sql.transaction('system', async (tx) => {
        await tx.query('RESET ROLE')
        return tx.query(statement)
      })
    const owner = `SELECT tableowner = current_user AS owner FROM pg_tables WHERE tablename = 'notes'`
    assert.deepEqual(await withoutRole(owner), [{ owner: true }])
    assert.deepEqual(await withoutRole('SELECT id FROM notes'), [])
    await assert.rejects(withoutRole(`INSERT INTO notes (tenant, id) VALUES ('a', 'b')`), { kind: 'row-security' })
  })

  check('nothing of a scope is left for the next, however the one before ended', async (sql) => {
    const [a] = await two(sql)
    const before = [
      () => sql.query(a, 'SELECT 1'),
      () => sql.query(a, 'SELECT 1 / 0'),
      () => sql.transaction(a, (tx) => tx.query('SELECT 1')),
      () => sql.transaction(a, (tx) => tx.query('SELECT 1 / 0')),
      () => sql.transaction(a, (tx) => tx.query('SELECT 1').then(() => Promise.reject(new Error('no')))),
    ]
    const who = `SELECT current_user::text AS role, current_setting('parley.tenant', true) AS tenant`
    const other = newTenant()
    /** What a statement would meet that has no scope. */
    const left = () =>
      sql.transaction('system', async (tx) => {
        await tx.query('ROLLBACK')
        return tx.query(`SELECT current_user = session_user AS plain, current_setting('parley.tenant', true) AS tenant`)
      })
    for (const run of before) {
      await run().catch(() => {})
      assert.deepEqual(await left(), [{ plain: true, tenant: '' }])
      await run().catch(() => {})
      assert.deepEqual(await sql.query('system', who), [{ role: 'parley_system', tenant: '' }])
      await run().catch(() => {})
      assert.deepEqual(await sql.query(other, who), [{ role: 'parley_tenant', ...other }])
      await run().catch(() => {})
      const inTransaction = await sql.transaction('system', (tx) => tx.query(who))
      assert.deepEqual(inTransaction, [{ role: 'parley_system', tenant: '' }])
    }
  })

  check('a tenant is a value, whatever it looks like', async (sql) => {
    for (const tenant of [`'; DROP TABLE notes; --`, '$1', '\\', 'ü', ' ']) {
      await sql.query({ tenant }, insertNote, [tenant, 'own'])
      assert.deepEqual(await sql.query({ tenant }, 'SELECT tenant FROM notes'), [{ tenant }])
    }
  })

  check('without a tenant nothing is seen and nothing taken', async (sql) => {
    const [a] = await two(sql)
    await assert.rejects(sql.query({ tenant: '' }, 'SELECT 1'), RangeError)
    await assert.rejects(
      sql.transaction({ tenant: '' }, (tx) => tx.query('SELECT 1')),
      RangeError,
    )
    const forgotten = `SELECT set_config('parley.tenant', '', true)`
    const seen = await sql.transaction(a, async (tx) => {
      await tx.query(forgotten)
      return tx.query('SELECT id FROM notes')
    })
    assert.deepEqual(seen, [])
    const taken = sql.transaction(a, async (tx) => {
      await tx.query(forgotten)
      await tx.query(insertNote, ['', 'nobody’s'])
    })
    await assert.rejects(taken, { kind: 'row-security' })
  })
}

/** Two tenants with a note each. */
async function two(sql: Sql): Promise<[{ tenant: string }, { tenant: string }]> {
  const [a, b] = [newTenant(), newTenant()]
  for (const scope of [a, b]) await sql.query(scope, insertNote, [scope.tenant, 'own'])
  return [a, b]
}
