import { chmodSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import { atEndOfTick } from '../end-of-tick.ts'
import { type Call, type Engine, unavailable } from './engine.ts'
import { FlushPacing } from './flush-pacing.ts'
import type { Key, Reply } from './kv.ts'
import { Checkpoints } from './sqlite-checkpoints.ts'
import { Items } from './sqlite-items.ts'
import { createTables, prepareStatements, type Statements } from './sqlite-schema.ts'
import { type Signal, SqliteStep } from './sqlite-step.ts'
import { sweep } from './sqlite-sweep.ts'

export interface SqliteOptions {
  /** A file in a locked data folder, or `:memory:`. */
  path: string
  clock: Clock
  log: Log
  /** The write-ahead log is kept below this, in pages of 4 KiB. */
  maxLogPages?: number
}

type Outcome = { reply: Reply } | { error: unknown }

/** How often a slice of what changed is brought into the tables; twenty slices make a round. */
const settleMs = 100
const slices = 20
/** What is kept in memory until the tables have it. */
const maxUnsettledBytes = 32 << 20
const sweepMs = 1000
const nextSweepMs = 50

/**
 * The embedded engine. All operations of one tick are one transaction, and are answered once it is committed. None has a
 * savepoint of its own until one fails: then all is taken back and run again, each in a savepoint.
 */
export class SqliteEngine implements Engine {
  readonly engine = 'sqlite'
  readonly fault = undefined
  readonly #clock: Clock
  readonly #log: Log
  readonly #database: DatabaseSync
  readonly #sql: Statements
  readonly #items: Items
  readonly #step: SqliteStep
  readonly #pacing = new FlushPacing()
  /** Runs while only patient calls wait. */
  #waiting: NodeJS.Timeout | undefined
  readonly #checkpoints: Checkpoints | undefined
  readonly #listeners = new Map<Key, Set<(payload: string) => void>>()
  #queue: Call[] = []
  #scheduled = false
  #cancelSettle: (() => void) | undefined
  #cancelSweep: () => void
  #writable = true
  #closed = false

  constructor({ path, clock, log, maxLogPages = 16_384 }: SqliteOptions) {
    this.#clock = clock
    this.#log = log
    this.#database = new DatabaseSync(path)
    // The files beside it get the same mode.
    if (path !== ':memory:') chmodSync(path, 0o600)
    createTables(this.#database)
    this.#sql = prepareStatements(this.#database)
    this.#items = new Items(this.#sql)
    this.#step = new SqliteStep(this.#items, this.#sql)
    if (path !== ':memory:') {
      this.#checkpoints = new Checkpoints({
        path,
        clock,
        log,
        maxPages: maxLogPages,
        onRelease: () => this.#schedule(),
      })
    }
    this.#cancelSweep = clock.after(sweepMs, () => this.#sweep())
  }

  get reachable(): boolean {
    return this.#writable && !this.#closed
  }

  submit(call: Call): void {
    if (this.#closed) return call.fail(unavailable('closed'))
    this.#queue.push(call)
    this.#schedule(call.operation.patient === true)
  }

  async listen(key: Key, onSignal: (payload: string) => void): Promise<() => void> {
    if (this.#closed) throw unavailable('closed')
    const listeners = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, listeners)
    const listener = (payload: string) => onSignal(payload)
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelSweep()
    await this.#checkpoints?.close()
    this.#flush()
    this.#cancelSettle?.()
    this.#attempt(() => this.#items.settle(Number.POSITIVE_INFINITY))
    this.#database.close()
  }

  /** At the end of the tick; where only patient calls wait, when the pacing says. */
  #schedule(patient = false): void {
    if (this.#queue.length === 0) return
    const delayMs = patient ? this.#pacing.delayMs : 0
    if (delayMs > 0) {
      this.#waiting ??= setTimeout(() => {
        this.#waiting = undefined
        this.#flushIfPossible()
      }, delayMs)
    } else if (!this.#scheduled) {
      this.#scheduled = true
      atEndOfTick(this.#flushScheduled)
    }
  }

  readonly #flushScheduled = (): void => {
    this.#scheduled = false
    this.#flushIfPossible()
  }

  #flushIfPossible(): void {
    if (this.#database.isOpen && !this.#checkpoints?.holding) this.#flush()
  }

  #flush(): void {
    const calls = this.#queue
    if (calls.length === 0) return
    this.#queue = []
    if (calls.every((call) => call.operation.patient)) this.#pacing.flushed(calls.length)
    this.#step.now = this.#clock.now()
    let outcomes: Outcome[]
    try {
      outcomes = this.#runTogether(calls) ?? this.#runApart(calls)
    } catch (error) {
      this.#failed(error)
      for (const call of calls) call.fail(unavailable(error))
      return
    }
    if (this.#items.unsettledBytes > maxUnsettledBytes) this.#settleSlice()
    if (this.#items.unsettled > 0) this.#cancelSettle ??= this.#clock.after(settleMs, () => this.#settle())
    const signals = this.#step.takeSignals()
    calls.forEach((call, at) => {
      const outcome = outcomes[at]
      if (outcome && 'reply' in outcome) call.succeed(outcome.reply)
      else call.fail(outcome?.error)
    })
    for (const signal of signals) this.#deliver(signal)
  }

  #runTogether(calls: readonly Call[]): Outcome[] | undefined {
    this.#sql.begin.run()
    let outcomes: Outcome[]
    try {
      outcomes = calls.map((call) => ({ reply: this.#run(call) }))
    } catch (error) {
      this.#rollback()
      if (isOfDatabase(error)) throw error
      return undefined
    }
    this.#commit()
    return outcomes
  }

  #runApart(calls: readonly Call[]): Outcome[] {
    this.#sql.begin.run()
    let outcomes: Outcome[]
    try {
      outcomes = calls.map((call) => this.#runInSavepoint(call))
    } catch (error) {
      this.#rollback()
      throw error
    }
    this.#commit()
    return outcomes
  }

  #runInSavepoint(call: Call): Outcome {
    const mark = this.#items.mark()
    const signals = this.#step.signals.length
    this.#sql.savepoint.run()
    let outcome: Outcome
    try {
      outcome = { reply: this.#run(call) }
    } catch (error) {
      if (isOfDatabase(error)) throw error
      this.#sql.rollbackToSavepoint.run()
      this.#items.undoTo(mark)
      this.#step.signals.length = signals
      outcome = { error }
    }
    this.#sql.release.run()
    return outcome
  }

  #run({ operation, keys, args }: Call): Reply {
    const reply = operation.twin(this.#step, keys, args)
    if (reply.some((value) => typeof value === 'number' && !Number.isSafeInteger(value))) {
      throw new RangeError('Numbers of a reply are whole')
    }
    return reply
  }

  #commit(): void {
    const { journalBytes, touched } = this.#items
    try {
      this.#items.writeChanges()
      this.#sql.commit.run()
    } catch (error) {
      this.#rollback()
      throw error
    }
    this.#items.committed()
    if (!touched) return
    this.#checkpoints?.wrote(journalBytes)
    this.#succeeded()
  }

  #rollback(): void {
    // SQLite has already rolled back by itself after some errors.
    if (this.#database.isTransaction) this.#sql.rollback.run()
    this.#items.rolledBack()
    this.#step.signals.length = 0
  }

  #settle(): void {
    this.#cancelSettle = undefined
    if (!this.#checkpoints?.holding) this.#settleSlice()
    if (this.#items.unsettled === 0) return
    this.#cancelSettle = this.#clock.after(this.#writable ? settleMs : sweepMs, () => this.#settle())
  }

  #settleSlice(): void {
    this.#attempt(() => {
      const { bytes } = this.#items.settle(Math.ceil(this.#items.unsettled / slices))
      this.#checkpoints?.wrote(bytes)
    })
  }

  #sweep(): void {
    let more = false
    if (!this.#checkpoints?.holding) {
      this.#step.now = this.#clock.now()
      this.#attempt(() => {
        this.#sql.begin.run()
        // Somebody has to try, or nobody would find out that it can be written again.
        if (!this.#writable) this.#items.writeForNothing()
        more = sweep(this.#step, this.#sql)
        this.#commit()
      })
    }
    this.#cancelSweep = this.#clock.after(more ? nextSweepMs : sweepMs, () => this.#sweep())
  }

  #attempt(upkeep: () => void): void {
    try {
      upkeep()
    } catch (error) {
      if (this.#database.isTransaction) this.#rollback()
      this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    if (this.#writable) this.#log.error({ err: error }, 'The database cannot be written')
    this.#writable = false
  }

  #succeeded(): void {
    if (!this.#writable) this.#log.info('The database can be written again')
    this.#writable = true
  }

  #deliver({ key, payload }: Signal): void {
    for (const listener of this.#listeners.get(key) ?? []) {
      try {
        listener(payload)
      } catch (error) {
        this.#log.error({ err: error }, 'A listener of a signal failed')
      }
    }
  }
}

function isOfDatabase(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR'
}
