import { after, before, describe, test } from 'node:test'
import type { Sql } from '#platform/sql/sql.ts'
import { constraints } from './sql/constraints.ts'
import { migrations } from './sql/migrations.ts'
import { tenants } from './sql/tenants.ts'
import { transactions } from './sql/transactions.ts'
import { type Database, tables } from './sql/under-test.ts'
import { values } from './sql/values.ts'

/** What every engine has to do alike. `create` makes an empty database; one serves all tests but those of the migrations. */
export function sqlContract(engine: string, create: () => Promise<Database>): void {
  describe(`sql on ${engine}`, () => {
    let database: Database | undefined
    let sql: Sql | undefined

    before(async () => {
      database = await create()
      sql = await database.open([tables])
    })
    after(async () => {
      await sql?.close()
      await database?.[Symbol.asyncDispose]()
    })

    for (const part of [values, transactions, constraints, tenants]) {
      part((behaviour, body) =>
        test(behaviour, async () => {
          if (!sql) throw new Error('it was not opened')
          await body(sql)
        }),
      )
    }
    migrations(create)
  })
}
