import { chmodSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import { Checkpoints } from '../kv/sqlite-checkpoints.ts'
import { Deliveries } from './deliveries.ts'
import * as limits from './limits.ts'
import {
  type DeadLetter,
  type Delivery,
  LockLostError,
  type Queue,
  type QueueMessage,
  type ReceiveOptions,
  type Receiver,
  type ScheduledHandle,
} from './queue.ts'
import { defaultLockMs } from './sqlite-limits.ts'
import { type Claimed, SqliteStore } from './sqlite-store.ts'

export interface SqliteQueueOptions {
  /** A file in a locked data folder. */
  path: string
  clock: Clock
  log: Log
  /** How long a delivery is locked, ms. */
  lockMs?: number
}

interface Step {
  run: (now: number) => unknown
  /** About as many bytes as it writes. */
  bytes: number
  resolve: (result: unknown) => void
  reject: (error: unknown) => void
}

/** The write-ahead log is kept below this, in pages of 4 KiB. */
const maxLogPages = 8192
const againMs = 1000
/** A machine that was asleep is late with its timers, and a timer has room for 24 days. */
const longestWaitMs = 60_000
/** What a change of a message writes beside its body. */
const rowBytes = 400

/**
 * The embedded queue. All that is asked within one tick is one transaction, which also takes messages for whoever has room,
 * so that a message is sent and delivered by the same commit.
 */
export class SqliteQueue implements Queue {
  readonly engine = 'sqlite'
  readonly #clock: Clock
  readonly #log: Log
  readonly #lockMs: number
  readonly #database: DatabaseSync
  readonly #store: SqliteStore
  readonly #checkpoints: Checkpoints
  readonly #receivers = new Set<Deliveries>()
  #steps: Step[] = []
  #scheduled = false
  #cancelTimer: (() => void) | undefined
  #writable = true
  #closing: Promise<void> | undefined
  #closed = false

  constructor({ path, clock, log, lockMs = defaultLockMs }: SqliteQueueOptions) {
    this.#clock = clock
    this.#log = log
    this.#lockMs = lockMs
    this.#database = new DatabaseSync(path)
    // The files beside it get the same mode.
    chmodSync(path, 0o600)
    this.#store = new SqliteStore(this.#database, lockMs)
    this.#checkpoints = new Checkpoints({ path, clock, log, maxPages: maxLogPages, onRelease: () => this.#schedule() })
  }

  get reachable(): boolean {
    return this.#writable && !this.#closing
  }

  async send(messages: readonly QueueMessage[]): Promise<void> {
    limits.checkMessages(messages)
    await this.#submit((now) => {
      for (const message of messages) this.#store.add(message, now)
    }, bytesOf(messages))
  }

  async schedule(messages: readonly QueueMessage[], at: number): Promise<ScheduledHandle[]> {
    limits.checkMessages(messages)
    limits.checkTime(at)
    return this.#submit(
      (now) => messages.map((message) => String(this.#store.add(message, now, Math.max(at, now))) as ScheduledHandle),
      bytesOf(messages),
    )
  }

  async cancel(handles: readonly ScheduledHandle[]): Promise<void> {
    await this.#submit((now) => {
      for (const handle of handles) this.#store.cancel(Number(handle), now)
    }, handles.length * rowBytes)
  }

  receive(handler: (delivery: Delivery) => Promise<void>, options: ReceiveOptions): Receiver {
    limits.checkReceiving(options)
    if (this.#closing) throw limits.unavailable('closed')
    const { concurrency, renewForMs } = options
    const deliveries = new Deliveries({
      ...{ handler, concurrency, renewForMs, clock: this.#clock, log: this.#log },
      onRoom: () => this.#schedule(),
    })
    this.#receivers.add(deliveries)
    this.#schedule()
    return {
      stop: async (graceMs) => {
        deliveries.halt()
        await deliveries.idle(graceMs)
        await deliveries.giveBack()
        this.#receivers.delete(deliveries)
      },
    }
  }

  async deadLetters(limit: number, skip = 0): Promise<DeadLetter[]> {
    limits.checkDeadLetterPage(limit, skip)
    return this.#submit((now) => {
      this.#store.buryExhausted(now)
      return this.#store.deadLetters(limit, skip)
    })
  }

  async removeDeadLetters(ids: readonly string[]): Promise<boolean[]> {
    limits.checkDeadLetterIds(ids)
    return this.#submit((now) => {
      this.#store.buryExhausted(now)
      return ids.map((id) => this.#store.removeDeadLetter(id))
    }, ids.length * rowBytes)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const deliveries of this.#receivers) deliveries.halt()
    await Promise.all(Array.from(this.#receivers, (deliveries) => deliveries.giveBack()))
    this.#receivers.clear()
    await this.#checkpoints.close()
    this.#flush()
    this.#closed = true
    this.#cancelTimer?.()
    this.#database.close()
  }

  #submit<Result>(run: (now: number) => Result, bytes = rowBytes): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(limits.unavailable('closed'))
      this.#steps.push({ run, bytes, resolve: (result) => resolve(result as Result), reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (!this.#closed && !this.#checkpoints.holding) this.#flush()
    })
  }

  #flush(): void {
    const steps = this.#steps
    const receivers = [...this.#receivers].filter(({ room }) => room > 0)
    if (steps.length === 0 && receivers.length === 0) return
    this.#steps = []
    const now = this.#clock.now()
    let outcomes: (() => void)[]
    let claims: { deliveries: Deliveries; claimed: Claimed[] }[]
    let next: number | undefined
    try {
      this.#store.begin()
      outcomes = steps.map((step) => outcomeOf(step, now))
      claims = receivers.map((deliveries) => ({ deliveries, claimed: this.#store.claim(deliveries.room, now) }))
      // When something falls due or a lock runs out, as long as somebody has room for it.
      if (claims.some(({ deliveries, claimed }) => claimed.length < deliveries.room))
        next = this.#store.nextVisible(now)
      this.#store.commit()
    } catch (error) {
      this.#failed(error)
      for (const { reject } of steps) reject(limits.unavailable(error))
      return
    }
    this.#succeeded(steps, claims)
    for (const settle of outcomes) settle()
    for (const { deliveries, claimed } of claims) {
      for (const one of claimed) void deliveries.take(this.#locked(one, now + this.#lockMs))
    }
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (next === undefined) return
    this.#cancelTimer = this.#clock.after(Math.min(next - now, longestWaitMs), () => this.#schedule())
  }

  #locked(token: Claimed, lockedUntil: number) {
    const settle = (act: (now: number) => void) => this.#submit(act)
    return {
      ...{ message: token.message, deliveryCount: token.count, lockedUntil },
      lock: {
        complete: () => settle((now) => this.#store.complete(token, now)),
        abandon: () => settle((now) => this.#store.abandon(token, now)),
        deadLetter: (reason: string, description: string) =>
          settle((now) => this.#store.deadLetter(token, reason, description, now)),
        renew: () => this.#submit((now) => this.#store.renew(token, now)),
      },
    }
  }

  #failed(error: unknown): void {
    // SQLite has already rolled back by itself after some errors.
    if (this.#database.isTransaction) this.#store.rollback()
    if (this.#writable) this.#log.error({ err: error }, 'The queue cannot be written')
    this.#writable = false
    this.#cancelTimer?.()
    // Somebody has to try, or nobody would find out that it can be written again.
    this.#cancelTimer = this.#clock.after(againMs, () => {
      if (this.#steps.length === 0) void this.#submit(() => {}).catch(() => {})
      this.#schedule()
    })
  }

  #succeeded(steps: readonly Step[], claims: readonly { claimed: readonly Claimed[] }[]): void {
    if (!this.#writable) this.#log.info('The queue can be written again')
    this.#writable = true
    let bytes = 0
    for (const step of steps) bytes += step.bytes
    for (const { claimed } of claims) bytes += claimed.length * rowBytes
    if (bytes > 0) this.#checkpoints.wrote(bytes)
  }
}

/** A lost lock is the outcome of that one step; everything else is of the transaction. */
function outcomeOf({ run, resolve, reject }: Step, now: number): () => void {
  try {
    const result = run(now)
    return () => resolve(result)
  } catch (error) {
    if (!(error instanceof LockLostError)) throw error
    return () => reject(error)
  }
}

function bytesOf(messages: readonly QueueMessage[]): number {
  return messages.reduce((sum, { body }) => sum + rowBytes + body.length, 0)
}
