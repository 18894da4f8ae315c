import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { type DeadLetter, LockLostError, type QueueMessage } from './queue.ts'
import { duplicateWindowMs } from './sqlite-limits.ts'
import { createTables, prepareStatements, type Statements } from './sqlite-schema.ts'

/** Names one delivery of one message. */
export interface Token {
  seq: number
  count: number
}

export interface Claimed extends Token {
  message: QueueMessage
}

const forgetEveryMs = 1000
const forgottenAtOnce = 5000
const exhausted = {
  reason: 'MaxDeliveryCountExceeded',
  description: 'Message could not be consumed after the maximum number of deliveries.',
}

/** What the tables are made to do, each within a transaction of the caller. Times are ms since the epoch. */
export class SqliteStore {
  readonly #sql: Statements
  readonly #lockMs: number
  #forgetAt = 0

  constructor(database: DatabaseSync, lockMs: number) {
    createTables(database)
    this.#sql = prepareStatements(database)
    this.#lockMs = lockMs
    // The file is this process's alone: whoever held these locks is gone.
    this.#sql.releaseAll.run()
  }

  begin(): void {
    this.#sql.begin.run()
  }

  commit(): void {
    this.#sql.commit.run()
  }

  rollback(): void {
    this.#sql.rollback.run()
  }

  /** Its number; of a repeated id, a number that no message has. */
  add(message: QueueMessage, now: number, visible = now): number {
    if (this.#isRepeated(message.id, now)) return 0
    const { id, body, traceparent = null } = message
    return Number(this.#sql.add.run(id, body, traceparent, visible, visible).lastInsertRowid)
  }

  cancel(seq: number, now: number): void {
    this.#sql.cancel.run(seq, now)
  }

  claim(count: number, now: number): Claimed[] {
    this.buryExhausted(now)
    const claimed: Claimed[] = []
    for (const { seq, id, body, traceparent, count: before } of this.#sql.ready.all(now, count)) {
      this.#sql.lock.run(now + this.#lockMs, seq ?? 0)
      claimed.push({ seq: Number(seq), count: Number(before) + 1, message: messageOf(id, body, traceparent) })
    }
    return claimed
  }

  /** When a message can be taken that now cannot. */
  nextVisible(now: number): number | undefined {
    const visible = this.#sql.nextVisible.get(now)?.visible
    return typeof visible === 'number' ? visible : undefined
  }

  complete({ seq, count }: Token, now: number): void {
    held(this.#sql.complete.run(seq, count, now))
  }

  abandon({ seq, count }: Token, now: number): void {
    held(this.#sql.abandon.run(now, seq, count, now))
    this.buryExhausted(now)
  }

  /** The new end of the lock. */
  renew({ seq, count }: Token, now: number): number {
    held(this.#sql.renew.run(now + this.#lockMs, seq, count, now))
    return now + this.#lockMs
  }

  deadLetter({ seq, count }: Token, reason: string, description: string, now: number): void {
    held(this.#sql.bury.run(reason, description, seq, count, now))
    this.#sql.drop.run(seq)
  }

  buryExhausted(now: number): void {
    if (this.#sql.buryExhausted.run(exhausted.reason, exhausted.description, now).changes === 0) return
    this.#sql.dropExhausted.run(now)
  }

  deadLetters(limit: number, skip: number): DeadLetter[] {
    return this.#sql.dead.all(limit, skip).map(({ id, body, traceparent, enqueued, count, reason, description }) => ({
      ...messageOf(id, body, traceparent),
      reason: String(reason),
      description: String(description),
      deliveryCount: Number(count),
      enqueuedAt: Number(enqueued),
    }))
  }

  removeDeadLetter(id: string): boolean {
    return Number(this.#sql.removeDead.run(id).changes) > 0
  }

  #isRepeated(id: string, now: number): boolean {
    this.#forget(now)
    const seen = this.#sql.seen.get(id)
    if (seen && Number(seen.until) > now) return true
    if (seen) this.#sql.forgetOne.run(Number(seen.n))
    this.#sql.remember.run(id, now + duplicateWindowMs)
    return false
  }

  #forget(now: number): void {
    if (now < this.#forgetAt) return
    this.#forgetAt = now + forgetEveryMs
    const last = this.#sql.oldest.all(forgottenAtOnce).findLast(({ until }) => Number(until) <= now)
    if (last) this.#sql.forgetUpTo.run(Number(last.n))
  }
}

function held({ changes }: { changes: number | bigint }): void {
  if (Number(changes) === 0) throw new LockLostError()
}

function messageOf(
  id: SQLOutputValue | undefined,
  body: SQLOutputValue | undefined,
  trace: SQLOutputValue | undefined,
) {
  const message: QueueMessage = { id: String(id), body: String(body) }
  if (typeof trace === 'string') message.traceparent = trace
  return message
}
