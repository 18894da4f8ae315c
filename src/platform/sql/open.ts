import type { SqlEnv } from '#env.ts'
import type { Log } from '#log.ts'
import { type Clock, waitPatiently } from '../clock.ts'
import type { TokenSource } from '../credential.ts'
import { isUnavailable } from './faults.ts'
import { createPglite } from './pglite.ts'
import { createPostgres } from './postgres.ts'
import type { Migration, Sql } from './sql.ts'

export interface OpenSqlOptions {
  env: SqlEnv
  /** Of all modules. */
  migrations: readonly Migration[]
  clock: Clock
  log: Log
  /** For `auth: 'entra'`. */
  tokens: TokenSource
  /** PostgreSQL does not take the password. */
  onUnauthorized?: (() => void) | undefined
  /** How long opening waits for PostgreSQL, which may as well come later. */
  patienceMs?: number
  /** Ends that wait. */
  signal?: AbortSignal | undefined
}

/**
 * The engine that the environment names: never another one because a connection fails. PGlite is opened by the first call.
 * Rejects with `environment_invalid` when the migrations do not fit the database, and with what the server says when one
 * fails; where that shows later, every call does.
 */
export async function openSql({
  env,
  migrations,
  patienceMs = 10_000,
  signal,
  ...options
}: OpenSqlOptions): Promise<Sql> {
  const { clock, log, tokens, onUnauthorized } = options
  if (env.engine === 'pglite') return createPglite({ ...env, migrations, clock, log })
  const { auth, poolSize } = env
  const url = () => env.url
  const credential = auth === 'entra' ? tokens : undefined
  const sql = createPostgres({ url, credential, onUnauthorized, poolSize, migrations, clock, log })
  const prepared = sql.prepare()
  try {
    await waitPatiently(clock, prepared, patienceMs, signal)
  } catch (error) {
    if (!isUnavailable(error)) {
      await sql.close()
      throw error
    }
  }
  // Told by the calls, if it fails later.
  prepared.catch(() => {})
  return sql
}
