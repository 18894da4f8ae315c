import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import { startPostgres } from '../support/postgres.ts'
import { type Database, insertNote, tables } from './sql/under-test.ts'
import { sqlContract } from './sql.ts'

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
const server = await startPostgres()
after(() => server[Symbol.asyncDispose]())

// One connection, so that what a scope leaves behind would be found.
sqlContract('PostgreSQL', () => newDatabase(1))
sqlContract('PostgreSQL with a pool', () => newDatabase(8))

test('the login role, which owns the tables and is a member of both roles, sees no row of any tenant', async () => {
  const database = await newDatabase(1)
  const sql = await database.open([tables])
  await sql.query({ tenant: 'a' }, insertNote, ['a', 'own'])
  const withoutRole = (statement: string) =>
    sql.transaction('system', async (tx) => {
      await tx.query('RESET ROLE')
      return tx.query(statement)
    })
  const [owner] = await withoutRole(`SELECT tableowner = current_user AS is FROM pg_tables WHERE tablename = 'notes'`)
  assert.deepEqual(owner, { is: true })
  assert.deepEqual(await withoutRole('SELECT id FROM notes'), [])
  await assert.rejects(withoutRole(`INSERT INTO notes (tenant, id) VALUES ('a', 'b')`), { kind: 'row-security' })
  await sql.close()
})

async function newDatabase(poolSize: number): Promise<Database> {
  const url = await server.createDatabase()
  const env = { engine: 'postgres', url, auth: 'url', poolSize } as const
  return {
    open: (migrations) => openSql({ env, migrations, clock: systemClock, log, tokens }),
    [Symbol.asyncDispose]: async () => {},
  }
}
