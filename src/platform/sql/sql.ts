/**
 * What must be kept and asked for in more than one way: runs, attempts, finished turns. Two implementations, PostgreSQL and
 * PGlite, are held together by `test/contracts/sql.ts`.
 *
 * Every method rejects with `ParleyError` `database_unavailable` (503, retryable) while the database is out of reach, has no
 * connection to give, or takes too long; where that shows after a statement or a commit was sent, it may have taken effect. A
 * broken constraint rejects with `ConstraintError`; everything else is a fault of the program and rejects with what the engine
 * said, or with a `RangeError`. A database that the migrations do not fit rejects every call with `environment_invalid`.
 */
export interface Sql {
  readonly engine: 'postgres' | 'pglite'
  /** False while the database is known to be out of reach. */
  readonly reachable: boolean

  /**
   * One transaction (READ COMMITTED) under a scope: committed when `work` resolves, rolled back when it rejects. A statement that
   * fails dooms it, even where `work` swallows the error. `work` may be run again after a deadlock or a lost race for a snapshot,
   * so it acts through `tx` alone; a call of its own `Sql` from within waits for itself where there is one session only.
   */
  transaction<Result>(scope: Scope, work: (tx: Tx) => Promise<Result>): Promise<Result>
  /**
   * One statement in a transaction of its own, in one round trip. A text that comes again is not parsed again, so what varies is
   * a parameter.
   */
  query<Row = Record<string, SqlValue>>(scope: Scope, text: string, params?: readonly SqlParam[]): Promise<Row[]>

  /** Takes nothing new, and waits for what is under way. */
  close(): Promise<void>
}

/**
 * Under a tenant, row-level security shows and takes that tenant's rows only. `system` sees all: for what serves every tenant
 * alike (the consumer, sweepers). Both are database roles that cannot bypass row-level security. An empty tenant is refused with
 * a `RangeError`.
 */
export type Scope = { tenant: string } | 'system'

export interface Tx {
  query<Row = Record<string, SqlValue>>(text: string, params?: readonly SqlParam[]): Promise<Row[]>
}

/** An array becomes an SQL array, an object JSON (a JSON array is handed over as its text); bytes are `bytea`. */
export type SqlParam = string | number | bigint | boolean | null | Date | Uint8Array | readonly SqlParam[] | object
/**
 * What comes back: `int8` as number (`RangeError` beyond 2^53), `bytea` as Buffer, `jsonb` parsed, `timestamptz` as Date; `numeric`,
 * `date` and `timestamp` as text.
 */
export type SqlValue = string | number | boolean | null | Date | Buffer | object

/**
 * Applied once, in order of their names, before the first call, all that are missing in one transaction; what is applied already
 * must still be the same text. Its owner is the login role: `roles-migration.ts` tells what to say of a table.
 */
export interface Migration {
  /** `NNNN-what-it-does`; unique over all modules, from 0002 on. */
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
