import type { ClientBase, Connection, Submittable } from 'pg'
import { Prepared } from './prepared.ts'
import type { SqlValue } from './sql.ts'
import { decoderOf } from './values.ts'

export interface Statement {
  text: string
  values: readonly (string | Buffer | null)[]
}

/** Of the last statement. */
export interface Answer {
  rows: Record<string, SqlValue>[]
  /** What the server says it did: `INSERT 0 1`, `COMMIT`. */
  tag: string
}

interface RowDescription {
  fields: readonly { name: string; dataTypeID: number }[]
}

/**
 * Several statements in one round trip: sent together, answered together. The server skips all that follow one that fails,
 * and without a BEGIN among them they are one transaction, which the end of the exchange commits
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING).
 */
export function exchange(client: ClientBase, statements: readonly Statement[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    client.query(new Exchange(statements, resolve, reject))
  })
}

/** The methods named `handle…` are what `pg` calls on a query under way. */
class Exchange implements Submittable {
  readonly #statements: readonly Statement[]
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (error: Error) => void
  #prepared: Prepared | undefined
  #columns: { name: string; decode: (text: string) => SqlValue }[] = []
  #rows: Record<string, SqlValue>[] = []
  #tag = ''
  #fault: RangeError | undefined

  constructor(statements: readonly Statement[], resolve: (answer: Answer) => void, reject: (error: Error) => void) {
    this.#statements = statements
    this.#resolve = resolve
    this.#reject = reject
  }

  submit(connection: Connection): void {
    const prepared = Prepared.of(connection)
    this.#prepared = prepared
    connection.stream.cork()
    for (const { text, values } of this.#statements) {
      connection.bind({ statement: prepared.prepare(connection, text), values: [...values] }, true)
      connection.describe({ type: 'P' }, true)
      connection.execute(null, true)
    }
    connection.sync()
    connection.stream.uncork()
  }

  handleRowDescription({ fields }: RowDescription): void {
    this.#columns = fields.map(({ name, dataTypeID }) => ({ name, decode: decoderOf(dataTypeID) }))
    this.#rows = []
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    try {
      this.#rows.push(this.#row(fields))
    } catch (error) {
      // Thrown here it would reach the socket's reader.
      this.#fault ??= error instanceof RangeError ? error : new RangeError('a value cannot be read', { cause: error })
    }
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#tag = text
    if (this.#columns.length === 0) this.#rows = []
    this.#columns = []
  }

  handleEmptyQuery(): void {
    this.#rows = []
    this.#tag = ''
  }

  handlePortalSuspended(): void {}

  handleCopyInResponse(connection: Connection): void {
    connection.stream.destroy(new Error('COPY is not spoken here'))
  }

  handleError(error: Error): void {
    this.#prepared?.failed()
    this.#reject(error)
  }

  handleReadyForQuery(): void {
    this.#prepared?.succeeded()
    if (this.#fault) this.#reject(this.#fault)
    else this.#resolve({ rows: this.#rows, tag: this.#tag })
  }

  #row(fields: readonly (string | null)[]): Record<string, SqlValue> {
    const row: Record<string, SqlValue> = {}
    for (let at = 0; at < this.#columns.length; at++) {
      const column = this.#columns[at]
      const text = fields[at]
      if (column) row[column.name] = text === null || text === undefined ? null : column.decode(text)
    }
    return row
  }
}
