import { Socket } from 'node:net'
import { Pool } from 'pg'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import type { TokenSource } from '../credential.ts'
import { PooledSql } from './pooled-sql.ts'
import { postgresClient } from './postgres-client.ts'
import { connectionOf } from './postgres-connection.ts'
import type { Migration } from './sql.ts'

export interface PostgresOptions {
  /** Asked for each connection anew. */
  url: () => string
  /** Where passwords come from, when not from the URL. */
  credential: TokenSource | undefined
  /** The server does not take the password. */
  onUnauthorized?: (() => void) | undefined
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

const usualLimits: PostgresLimits = { connectMs: 5000, statementMs: 10_000, idleTransactionMs: 60_000, graceMs: 2000 }

/** On a PostgreSQL server, which may as well be away: calls are refused before `prepare` has found and migrated it. */
export function createPostgres({ url, credential, poolSize, migrations, clock, log, ...options }: PostgresOptions) {
  const limits = { ...usualLimits, ...options.limits }
  const connection = () => connectionOf(url(), credential)
  // What is wrong with it is told now.
  connection()
  const sockets = new Set<Socket>()
  const pool = new Pool({
    application_name: 'parley',
    Client: postgresClient({ connection, onUnauthorized: options.onUnauthorized }),
    max: poolSize,
    stream: () => trackedSocket(sockets),
    connectionTimeoutMillis: limits.connectMs,
    statement_timeout: limits.statementMs,
    idle_in_transaction_session_timeout: limits.idleTransactionMs,
    // Connecting costs more than keeping: a sign-in, TLS, a token.
    idleTimeoutMillis: 300_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    allowExitOnIdle: true,
  })
  return new PooledSql({
    engine: 'postgres',
    pool,
    migrations,
    reachable: false,
    silenceMs: limits.statementMs + limits.graceMs,
    retryMs: 1000,
    clock,
    log,
    onClose: () => endAll(sockets, clock, limits.graceMs),
  })
}

function trackedSocket(sockets: Set<Socket>): Socket {
  const socket = new Socket()
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
  return socket
}

/** What a server that hangs does not close itself is closed after a while. */
async function endAll(sockets: ReadonlySet<Socket>, clock: Clock, graceMs: number): Promise<void> {
  const cancel = clock.after(graceMs, () => {
    for (const socket of sockets) socket.destroy()
  })
  // Not `once` of node:events, which rejects when the last that a socket says is an error.
  await Promise.all([...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  cancel()
}
