import { Pool } from 'pg'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import { PgliteStream } from './pglite-stream.ts'
import { PooledSql } from './pooled-sql.ts'
import type { Migration } from './sql.ts'

export interface PgliteOptions {
  /** Its folder. */
  path: string
  /** The folder of a closed one, copied where there is none yet. */
  template?: string | undefined
  migrations: readonly Migration[]
  clock: Clock
  log: Log
}

/** Opening takes seconds, more on a busy machine; a statement that takes longer than this is out of hand. */
const patienceMs = 60_000

/** PGlite signs in as a superuser, whom row-level security does not hold: migrations would do what they cannot on a server. */
const asOnServer = `
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'parley_login') THEN
    CREATE ROLE parley_login LOGIN CREATEROLE;
    ALTER DATABASE postgres OWNER TO parley_login;
  END IF;
END $$;
SET SESSION AUTHORIZATION parley_login`

/** No autovacuum runs in PGlite: what rows were is in the way of looking for what they are. */
const upkeep = { everyCalls: 5000, text: 'VACUUM (ANALYZE)' }

/**
 * PGlite in a thread of its own, opened by the first call. It has one session, so one transaction at a time, in the order in
 * which they were asked for: a pool of one connection is all that takes.
 */
export function createPglite({ path, template, migrations, clock, log }: PgliteOptions): PooledSql {
  let ended: Promise<unknown> = Promise.resolve()
  const pool = new Pool({
    user: 'postgres',
    database: 'postgres',
    password: '',
    ssl: false,
    max: 1,
    stream: () => {
      const stream = new PgliteStream({ path, template }, ended)
      ended = stream.ended
      return stream
    },
    onConnect: (client) => client.query(asOnServer),
    connectionTimeoutMillis: patienceMs,
    // It stays open until it is closed.
    idleTimeoutMillis: 0,
    allowExitOnIdle: true,
  })
  return new PooledSql({
    engine: 'pglite',
    pool,
    migrations,
    reachable: true,
    silenceMs: patienceMs,
    retryMs: patienceMs,
    upkeep,
    clock,
    log,
    onClose: async () => {
      await ended
    },
  })
}
