/**
 * What must be kept and asked for in more than one way: runs, attempts, finished turns. Two implementations, PostgreSQL and
 * PGlite, are held together by `test/contracts/sql.ts`.
 *
 * Every method rejects with `ParleyError` `database_unavailable` (503, retryable) while the database is out of reach. A broken
 * constraint rejects with `ConstraintError`; everything else is a fault of the program and rejects with what the engine said.
 */
export interface Sql {
  readonly engine: 'postgres' | 'pglite'
  /** False while the database is known to be out of reach. */
  readonly reachable: boolean

  /**
   * One transaction (READ COMMITTED) under a scope: committed when `work` resolves, rolled back when it rejects. `work` may be
   * run again after a deadlock or a lost race for a snapshot, so it acts through `tx` alone.
   */
  transaction<Result>(scope: Scope, work: (tx: Tx) => Promise<Result>): Promise<Result>
  /** One statement in a transaction of its own; cheaper than the long form. */
  query<Row = Record<string, SqlValue>>(scope: Scope, text: string, params?: readonly SqlParam[]): Promise<Row[]>

  close(): Promise<void>
}

/**
 * Under a tenant, row-level security shows and takes that tenant's rows only. `system` sees all: for what serves every tenant
 * alike (the consumer, sweepers). Both are database roles that cannot bypass row-level security.
 */
export type Scope = { tenant: string } | 'system'

export interface Tx {
  query<Row = Record<string, SqlValue>>(text: string, params?: readonly SqlParam[]): Promise<Row[]>
}

/** An array becomes an SQL array, an object JSON; bytes are `bytea`. */
export type SqlParam = string | number | bigint | boolean | null | Date | Uint8Array | readonly SqlParam[] | object
/** What comes back: `int8` as number (throws beyond 2^53), `bytea` as Buffer, `jsonb` parsed, `timestamptz` as Date. */
export type SqlValue = string | number | boolean | null | Date | Buffer | object

/** Applied once, in order of their numbers, at open; what is applied already must still be the same text. */
export interface Migration {
  /** `NNNN-what-it-does`; unique over all modules. */
  name: string
  sql: string
}

export class ConstraintError extends Error {
  override readonly name = 'ConstraintError'
  readonly kind: 'unique' | 'foreign-key' | 'check' | 'not-null' | 'row-security'
  readonly constraint: string

  constructor(kind: ConstraintError['kind'], constraint: string, cause: unknown) {
    super(`a ${kind} constraint does not hold: ${constraint}`, { cause })
    this.kind = kind
    this.constraint = constraint
  }
}
