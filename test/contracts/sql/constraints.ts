import assert from 'node:assert/strict'
import { ConstraintError } from '#platform/sql/sql.ts'
import { type Check, insertNote, newTenant } from './under-test.ts'

/** What callers hear of a statement that cannot be. */
export function constraints(check: Check): void {
  const cases = [
    ['unique', 'notes_pkey', `INSERT INTO notes (tenant, id) VALUES ($1, 'first')`],
    ['check', 'stars_are_few', `INSERT INTO notes (tenant, id, stars) VALUES ($1, 'second', 6)`],
    ['not-null', 'notes.body', `INSERT INTO notes (tenant, id, body) VALUES ($1, 'third', NULL)`],
    ['foreign-key', 'parent_exists', `INSERT INTO notes (tenant, id, parent) VALUES ($1, 'fourth', 'nobody')`],
    ['row-security', 'notes', `INSERT INTO notes (tenant, id) VALUES ('not ' || $1, 'fifth')`],
  ] as const
  for (const [kind, constraint, statement] of cases) {
    check(`a broken constraint is named: ${kind}`, async (sql) => {
      const scope = newTenant()
      await sql.query(scope, insertNote, [scope.tenant, 'first'])
      const broken = (error: unknown) => {
        assert.ok(error instanceof ConstraintError)
        assert.deepEqual([error.kind, error.constraint], [kind, constraint])
        return true
      }
      await assert.rejects(sql.query(scope, statement, [scope.tenant]), broken)
      await assert.rejects(
        sql.transaction(scope, (tx) => tx.query(statement, [scope.tenant])),
        broken,
      )
    })
  }

  check('a constraint that is looked at in the end is told by the commit', async (sql) => {
    const scope = newTenant()
    const work = sql.transaction(scope, async (tx) => {
      await tx.query('SET CONSTRAINTS ALL DEFERRED')
      await tx.query(`INSERT INTO notes (tenant, id, parent) VALUES ($1, 'child', 'nobody')`, [scope.tenant])
    })
    await assert.rejects(work, { name: 'ConstraintError', kind: 'foreign-key' })
    assert.deepEqual(await sql.query(scope, 'SELECT id FROM notes'), [])
  })

  const faults = [
    ['a syntax error', 'SELEC 1', '42601'],
    ['a table that is not there', 'SELECT * FROM nowhere', '42P01'],
    ['a parameter of another type', `SELECT 'many'::int4`, '22P02'],
    ['a table that is not for tenants', 'SELECT * FROM leases', '42501'],
    ['the record of migrations', 'SELECT * FROM parley_migrations', '42501'],
  ] as const
  for (const [what, statement, code] of faults) {
    check(`a fault of the program rejects with what the engine said: ${what}`, async (sql) => {
      await assert.rejects(sql.query(newTenant(), statement), { name: 'error', code })
      assert.equal(sql.reachable, true)
    })
  }
}
