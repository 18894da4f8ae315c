import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Migration } from '#platform/sql/sql.ts'
import type { Database } from './under-test.ts'

/** How a schema comes to be, in one database from one test to the next. */
export function migrations(create: () => Promise<Database>): void {
  const first: Migration = {
    name: '0002-steps',
    sql: 'CREATE TABLE steps (n int4); GRANT ALL ON steps TO parley_system',
  }
  const second: Migration = {
    name: '0003-first-step',
    sql: 'INSERT INTO steps VALUES (1); INSERT INTO steps VALUES (2)',
  }
  const third: Migration = { name: '0004-next-step', sql: 'INSERT INTO steps SELECT count(*) + 1 FROM steps' }
  const steps = 'SELECT n FROM steps ORDER BY n'

  describe('migrations', () => {
    let database: Database
    const steady = async (given: readonly Migration[]) => {
      const sql = await database.open(given)
      try {
        return await sql.query('system', steps)
      } finally {
        await sql.close()
      }
    }

    before(async () => {
      database = await create()
    })
    after(() => database[Symbol.asyncDispose]())

    test('are applied in order of their numbers, all or none', async () => {
      const broken = { name: '0005-broken', sql: 'INSERT INTO steps VALUES (9); INSERT INTO nowhere VALUES (9)' }
      await assert.rejects(steady([second, first, broken]), { code: '42P01' })
      assert.deepEqual(await steady([second, first]), [{ n: 1 }, { n: 2 }])
    })

    test('are applied once, those of a newer replica are left alone, and a later one still finds its place', async () => {
      const newer = { name: '9000-from-the-future', sql: 'INSERT INTO steps VALUES (100)' }
      assert.deepEqual(await steady([first, second, newer]), [{ n: 1 }, { n: 2 }, { n: 100 }])
      assert.deepEqual(await steady([first, second, third]), [{ n: 1 }, { n: 2 }, { n: 4 }, { n: 100 }])
    })

    test('change rows of tenants as the system only, and the next one is the owner again', async () => {
      const notes: Migration = {
        name: '0010-notes',
        sql: `CREATE TABLE notes (tenant text, n int4);
              SELECT parley_tenant_table('notes');
              SET LOCAL ROLE parley_system;
              INSERT INTO notes VALUES ('a', 1), ('b', 2)`,
      }
      const asOwner = { name: '0011-as-owner', sql: 'UPDATE notes SET n = 100' }
      const asSystem = { name: '0012-as-system', sql: 'SET LOCAL ROLE parley_system; UPDATE notes SET n = n + 1' }
      const sql = await database.open([first, second, notes, asOwner, asSystem])
      assert.deepEqual(await sql.query('system', 'SELECT n FROM notes ORDER BY n'), [{ n: 2 }, { n: 3 }])
      await sql.close()
    })

    test('must still be the text that was applied', async () => {
      const changed = { ...second, sql: `${second.sql} ` }
      await assert.rejects(steady([first, changed]), { code: 'environment_invalid', message: /0003-first-step/ })
      assert.equal((await steady([first, second])).length, 4)
    })

    test('have names of their own that begin with a number', async () => {
      for (const names of [['steps'], ['12-steps'], ['0002_steps'], ['0002-'], ['0001-roles'], ['0006-a', '0006-a']]) {
        await assert.rejects(steady(names.map((name) => ({ name, sql: '' }))), RangeError, String(names))
      }
    })
  })
}
