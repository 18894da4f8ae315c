import { after, before, describe, test } from 'node:test'
import type { Sql } from '#platform/sql/sql.ts'
import { keysMigration } from '../../../src/identity/keys/migration.ts'
import type { Check, Database } from '../sql/under-test.ts'
import { holdingContract } from './holding.ts'
import { managingContract } from './managing.ts'

/** What Parley keys promise, on whichever database keeps them. */
export function keysContract(engine: string, openDatabase: () => Promise<Database>): void {
  describe(`Parley keys on ${engine}`, () => {
    let database: Database
    let sql: Sql

    before(async () => {
      database = await openDatabase()
      sql = await database.open([keysMigration])
    })
    after(async () => {
      await sql.close()
      await database[Symbol.asyncDispose]()
    })

    const check: Check = (behaviour, body) => void test(behaviour, () => body(sql))
    holdingContract(check)
    managingContract(check)
  })
}
