import type { Pool, PoolClient } from 'pg'
import type { Log } from '#log.ts'
import { type Clock, delay, waitAtMost } from '../clock.ts'
import { type Answer, exchange, type Statement } from './exchange.ts'
import { endsConnection, isContention, isStale, isUnavailable, translate, unavailable } from './faults.ts'
import { inOrder, migrate } from './migrations.ts'
import { Reach } from './reach.ts'
import { enter } from './scope.ts'
import type { Migration, Scope, Sql, SqlParam, SqlValue, Tx } from './sql.ts'
import { runTransaction } from './transaction.ts'
import { encode } from './values.ts'

export interface PooledSqlOptions {
  engine: Sql['engine']
  pool: Pool
  migrations: readonly Migration[]
  /** Whether it counts as reachable before anybody has tried. */
  reachable: boolean
  /** Without an answer for so long, a connection is given up. */
  silenceMs: number
  /** Longest rest between two looks for a database that is away. */
  retryMs: number
  clock: Clock
  log: Log
  /** What the engine needs every so many calls, where it does not see to that by itself. */
  upkeep?: { everyCalls: number; text: string }
  /** Waits for connections to end, which the pool does not. */
  onClose: () => Promise<void>
}

const attempts = 5
const firstRetryMs = 10
/** Others may be migrating, and a migration may rewrite a table. */
const migrationMs = 15 * 60_000

/** `Sql` over a pool of `pg` connections, whatever they lead to. The schema is brought up to date before the first call. */
export class PooledSql implements Sql {
  readonly engine: Sql['engine']
  readonly #options: PooledSqlOptions
  readonly #migrations: readonly Migration[]
  readonly #reach: Reach
  #migration: Promise<void> | undefined
  #migrated = false
  /** Why the migrations cannot be applied to this database. */
  #fault: Error | undefined
  #closing: Promise<void> | undefined
  #underWay = 0
  #callsSinceUpkeep = 0
  readonly #idle = Promise.withResolvers<void>()

  constructor(options: PooledSqlOptions) {
    const { engine, pool, migrations, reachable, retryMs, clock, log } = options
    this.engine = engine
    this.#options = options
    this.#migrations = inOrder(migrations)
    this.#reach = new Reach({
      ...{ retryMs, reachable, clock, log },
      probe: () => this.#probe(),
      // What comes back may be another: restored, or a replica that lags behind.
      onLost: () => {
        this.#migrated = false
      },
    })
    // An idle connection broke; the pool has dropped it.
    pool.on('error', () => this.#reach.suspect())
  }

  get reachable(): boolean {
    return this.#reach.reachable
  }

  /** Connects and migrates. Rejects while the database is out of reach, which is then looked for, or with `environment_invalid`. */
  async prepare(): Promise<void> {
    try {
      await this.#migrate()
      this.#reach.found()
    } catch (error) {
      if (isUnavailable(error)) this.#reach.lost(error)
      throw error
    }
  }

  async query<Row = Record<string, SqlValue>>(
    scope: Scope,
    text: string,
    params: readonly SqlParam[] = [],
  ): Promise<Row[]> {
    const statements = [enter(scope), { text, values: params.map(encode) }]
    const { rows } = await this.#again(() => this.#connected((client) => this.#send(client, statements)))
    return rows as Row[]
  }

  transaction<Result>(scope: Scope, work: (tx: Tx) => Promise<Result>): Promise<Result> {
    return this.#again(() =>
      this.#connected((client) => runTransaction((statements) => this.#send(client, statements), scope, work)),
    )
  }

  /** Takes nothing new, and waits for what is under way. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#reach.close()
    const { pool, onClose } = this.#options
    if (this.#underWay > 0) await this.#idle.promise
    await Promise.all([pool.end(), onClose()])
  }

  async #again<Result>(run: () => Promise<Result>): Promise<Result> {
    let attempt = 1
    for (;;) {
      try {
        return await run()
      } catch (error) {
        // Each connection does so once at most, and is not used again.
        if (isStale(error)) continue
        if (attempt === attempts || !isContention(error)) throw error
        await delay(this.#options.clock, Math.random() * firstRetryMs * 2 ** attempt)
        attempt += 1
      }
    }
  }

  async #connected<Result>(use: (client: PoolClient) => Promise<Result>): Promise<Result> {
    if (this.#fault) throw this.#fault
    if (this.#closing || !this.#reach.reachable) throw unavailable()
    this.#underWay += 1
    try {
      if (!this.#migrated) await this.prepare()
      return await this.#withClient(use)
    } finally {
      this.#done()
      this.#keepUp()
    }
  }

  #done(): void {
    this.#underWay -= 1
    if (this.#closing && this.#underWay === 0) this.#idle.resolve()
  }

  /** In its turn among the calls; one that fails is made up for by the next. */
  #keepUp(): void {
    const { upkeep, log } = this.#options
    this.#callsSinceUpkeep += 1
    if (!upkeep || this.#closing || this.#callsSinceUpkeep < upkeep.everyCalls) return
    this.#callsSinceUpkeep = 0
    this.#underWay += 1
    this.#withClient((client) => this.#within(migrationMs, client, () => client.query(upkeep.text)))
      .catch((error: unknown) => log.warn({ err: error }, 'The database could not be kept up'))
      .finally(() => this.#done())
  }

  async #withClient<Result>(use: (client: PoolClient) => Promise<Result>): Promise<Result> {
    const client = await this.#checkOut()
    let broken = false
    let stale = false
    const onError = () => {
      broken = true
    }
    client.on('error', onError)
    try {
      return await use(client)
    } catch (error) {
      broken ||= endsConnection(error)
      stale = isStale(error)
      throw error
    } finally {
      client.off('error', onError)
      // A transaction that is still open would be the next user's.
      const idle = client.getTransactionStatus() === 'I'
      client.release(broken || stale || !idle)
      if (broken) this.#reach.suspect()
    }
  }

  async #checkOut(): Promise<PoolClient> {
    try {
      return await this.#options.pool.connect()
    } catch (error) {
      if (!isExhausted(error)) this.#reach.lost(error)
      throw unavailable(error)
    }
  }

  async #send(client: PoolClient, statements: readonly Statement[]): Promise<Answer> {
    return this.#within(this.#options.silenceMs, client, () => exchange(client, statements))
  }

  /** A connection that says nothing for so long is cut, and all that wait on it hear of it. */
  async #within<Result>(limitMs: number, client: PoolClient, work: () => Promise<Result>): Promise<Result> {
    const cancel = waitAtMost(this.#options.clock, limitMs, () => {
      const silence = new Error(`no answer for ${limitMs} ms`)
      client.connection.stream.destroy(silence)
      this.#reach.lost(silence)
    })
    try {
      return await work()
    } catch (error) {
      throw translate(error)
    } finally {
      cancel()
    }
  }

  #migrate(): Promise<void> {
    if (this.#migrated) return Promise.resolve()
    this.#migration ??= this.#withClient((client) =>
      this.#within(migrationMs, client, () => migrate(client, this.#migrations, this.#options.log)),
    )
      .then(
        () => {
          this.#migrated = true
        },
        (error: Error) => {
          if (!isUnavailable(error)) {
            this.#fault = error
            this.#reach.giveUp(error)
          }
          throw error
        },
      )
      .finally(() => {
        this.#migration = undefined
      })
    return this.#migration
  }

  async #probe(): Promise<void> {
    await this.#migrate()
    await this.#withClient((client) => this.#send(client, [{ text: 'SELECT 1', values: [] }]))
  }
}

/** All connections of the pool were in use for as long as anybody waits for one. */
function isExhausted(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect'
}
