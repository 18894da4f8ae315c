import { createSqlRecords, recordsMigration } from '#governance/privacy/sql-records.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { recordsSuite } from './privacy/records.ts'

const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }

recordsSuite('PostgreSQL', async () => {
  const server = await sharedPostgres()
  const env = { engine: 'postgres', url: await server.createDatabase(), auth: 'url', poolSize: 4 } as const
  const migrations = [recordsMigration]
  const sql = await openSql({ env, migrations, clock: systemClock, log: createLog('silent'), tokens })
  const close = async () => {
    await sql.close()
    await server[Symbol.asyncDispose]()
  }
  return { records: createSqlRecords(sql), close }
})
