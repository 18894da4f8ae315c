import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import type { Database } from './sql/under-test.ts'
import { sqlContract } from './sql.ts'

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }

sqlContract('PGlite', newDatabase)

async function newDatabase(): Promise<Database & { path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'sql-pglite-'))
  const path = join(folder, 'database')
  return {
    path,
    open: (migrations) => openSql({ env: { engine: 'pglite', path }, migrations, clock: systemClock, log, tokens }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}
