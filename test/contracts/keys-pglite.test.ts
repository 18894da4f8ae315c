import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import { barePgliteTemplate } from '../support/pglite-template.ts'
import { keysContract } from './keys/contract.ts'

const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }

keysContract('PGlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keys-pglite-'))
  const env = { engine: 'pglite', path: join(folder, 'database'), template: barePgliteTemplate() } as const
  return {
    open: (migrations) => openSql({ env, migrations, clock: systemClock, log: createLog('silent'), tokens }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
})
