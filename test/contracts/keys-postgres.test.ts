import { after } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { keysContract } from './keys/contract.ts'

const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
const server = await sharedPostgres()
after(() => server[Symbol.asyncDispose]())

keysContract('PostgreSQL', async () => {
  const env = { engine: 'postgres', url: await server.createDatabase(), auth: 'url', poolSize: 8 } as const
  return {
    open: (migrations) => openSql({ env, migrations, clock: systemClock, log: createLog('silent'), tokens }),
    [Symbol.asyncDispose]: async () => {},
  }
})
