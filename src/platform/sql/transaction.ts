import type { Answer, Statement } from './exchange.ts'
import { isContention, isStale } from './faults.ts'
import { enter } from './scope.ts'
import type { Scope, SqlParam, SqlValue, Tx } from './sql.ts'
import { encode } from './values.ts'

export type Send = (statements: readonly Statement[]) => Promise<Answer>

/**
 * Runs `work` in one transaction over a connection that is ours for as long. It begins with the first statement, in the same
 * round trip; without one, nothing is sent at all. A statement that fails dooms it, also when `work` goes on without it.
 */
export async function runTransaction<Result>(
  send: Send,
  scope: Scope,
  work: (tx: Tx) => Promise<Result>,
): Promise<Result> {
  const transaction = new Transaction(send, scope)
  let result: Result
  try {
    result = await work(transaction)
    await transaction.settled()
  } catch (error) {
    await transaction.rollBack()
    // Whatever `work` made of it, it is to be run again.
    throw isContention(transaction.fault) || isStale(transaction.fault) ? transaction.fault : error
  }
  await transaction.commit()
  return result
}

const begin: Statement = { text: 'BEGIN ISOLATION LEVEL READ COMMITTED', values: [] }
const commit: Statement = { text: 'COMMIT', values: [] }
const rollback: Statement = { text: 'ROLLBACK', values: [] }

class Transaction implements Tx {
  readonly #send: Send
  readonly #scope: Scope
  #state: 'fresh' | 'begun' | 'over' = 'fresh'
  /** The statements asked for so far: one is sent once the one before is answered. */
  #last: Promise<unknown> = Promise.resolve()
  #fault: unknown

  constructor(send: Send, scope: Scope) {
    this.#send = send
    this.#scope = scope
  }

  query<Row = Record<string, SqlValue>>(text: string, params: readonly SqlParam[] = []): Promise<Row[]> {
    const answer = this.#last.then(() => this.#run({ text, values: params.map(encode) }))
    // Whoever asked hears of a failure; the next in line finds it in `#fault`.
    this.#last = answer.catch(() => {})
    return answer as Promise<Row[]>
  }

  /** Why the first statement that failed did. */
  get fault(): unknown {
    return this.#fault
  }

  /** Waits for statements that nobody awaited; rejects when any has failed. */
  async settled(): Promise<void> {
    await this.#last
    if (this.#fault !== undefined) throw this.#fault
  }

  async commit(): Promise<void> {
    const begun = this.#state === 'begun'
    this.#state = 'over'
    if (begun) await this.#send([commit])
  }

  /** Never rejects: what made it necessary is what counts. */
  async rollBack(): Promise<void> {
    await this.#last
    const begun = this.#state === 'begun'
    this.#state = 'over'
    // A connection that cannot even roll back is broken, and is not used again.
    if (begun) await this.#send([rollback]).catch(() => {})
  }

  async #run(statement: Statement): Promise<Record<string, SqlValue>[]> {
    if (this.#state === 'over') throw new Error('the transaction is over')
    if (this.#fault !== undefined) throw this.#fault
    const isFirst = this.#state === 'fresh'
    const statements = isFirst ? [begin, enter(this.#scope), statement] : [statement]
    this.#state = 'begun'
    try {
      return (await this.#send(statements)).rows
    } catch (error) {
      this.#fault = error
      throw error
    }
  }
}
