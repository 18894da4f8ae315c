import { after } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import { sharedPostgres } from '../support/postgres.ts'
import type { Database } from './sql/under-test.ts'
import { sqlContract } from './sql.ts'

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
const server = await sharedPostgres()
after(() => server[Symbol.asyncDispose]())

// One connection, so that what a scope leaves behind would be found.
sqlContract('PostgreSQL', () => newDatabase(1))
sqlContract('PostgreSQL with a pool', () => newDatabase(8))

async function newDatabase(poolSize: number): Promise<Database> {
  const url = await server.createDatabase()
  const env = { engine: 'postgres', url, auth: 'url', poolSize } as const
  return {
    open: (migrations) => openSql({ env, migrations, clock: systemClock, log, tokens }),
    [Symbol.asyncDispose]: async () => {},
  }
}
