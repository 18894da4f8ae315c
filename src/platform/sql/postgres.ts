import { once } from 'node:events'
import { Socket } from 'node:net'
import { Pool } from 'pg'
import type { Log } from '#log.ts'
import { type Clock, delay } from '../clock.ts'
import type { TokenSource } from '../credential.ts'
import { PooledSql } from './pooled-sql.ts'
import { connectionOf } from './postgres-connection.ts'
import type { Migration } from './sql.ts'

export interface PostgresOptions {
  url: string
  /** Where passwords come from, when not from the URL. */
  credential: TokenSource | undefined
  poolSize: number
  migrations: readonly Migration[]
  clock: Clock
  log: Log
  limits?: Partial<PostgresLimits>
}

/** All in ms. */
export interface PostgresLimits {
  /** For a connection: a new one, or one that others have. */
  connectMs: number
  /** After which the server gives a statement up. */
  statementMs: number
  /** How long a transaction may leave the server without a statement. */
  idleTransactionMs: number
  /** What the server gets beyond `statementMs` to say anything, and what connections get to end at the end. */
  graceMs: number
}

const usualLimits: PostgresLimits = { connectMs: 5000, statementMs: 15_000, idleTransactionMs: 60_000, graceMs: 2000 }

/** On a PostgreSQL server, which may as well be away: it is connected to, and migrated, by `prepare` or the first call. */
export function createPostgres({ url, credential, poolSize, migrations, clock, log, ...options }: PostgresOptions) {
  const limits = { ...usualLimits, ...options.limits }
  const sockets = new Set<Socket>()
  const pool = new Pool({
    application_name: 'parley',
    ...connectionOf(url, credential),
    max: poolSize,
    stream: () => trackedSocket(sockets),
    connectionTimeoutMillis: limits.connectMs,
    statement_timeout: limits.statementMs,
    idle_in_transaction_session_timeout: limits.idleTransactionMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    allowExitOnIdle: true,
  })
  return new PooledSql({
    engine: 'postgres',
    pool,
    migrations,
    reachable: true,
    silenceMs: limits.statementMs + limits.graceMs,
    retryMs: 1000,
    clock,
    log,
    onClose: () => endAll(sockets, pool, clock, limits.graceMs),
  })
}

function trackedSocket(sockets: Set<Socket>): Socket {
  const socket = new Socket()
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
  return socket
}

/** A server that hangs never closes its side. */
async function endAll(sockets: ReadonlySet<Socket>, pool: Pool, clock: Clock, graceMs: number): Promise<void> {
  const over = new AbortController()
  const closing = Promise.all([...sockets].map((socket) => once(socket, 'close')))
  void closing.then(() => over.abort())
  await delay(clock, graceMs, over.signal).catch(() => {})
  // Those in use belong to a transaction, which has limits of its own.
  if (pool.totalCount === 0) for (const socket of sockets) socket.destroy()
}
