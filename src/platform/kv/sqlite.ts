import { DatabaseSync } from 'node:sqlite'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import { type Call, type Engine, unavailable } from './engine.ts'
import type { Key, Reply } from './kv.ts'
import { SqliteStep, schema } from './sqlite-step.ts'

export interface SqliteOptions {
  /** A file in a locked data folder, or `:memory:`. */
  path: string
  clock: Clock
  log: Log
}

/**
 * The embedded engine. All operations of one tick are one transaction, and are settled once it is committed. None has a
 * savepoint of its own until one fails: then all is taken back and run again, each in a savepoint.
 */
export class SqliteEngine implements Engine {
  readonly engine = 'sqlite'
  readonly fault = undefined
  readonly #clock: Clock
  readonly #log: Log
  readonly #database: DatabaseSync
  readonly #step: SqliteStep
  readonly #listeners = new Map<Key, Set<(payload: string) => void>>()
  #queue: Call[] = []
  #closed = false

  constructor({ path, clock, log }: SqliteOptions) {
    this.#clock = clock
    this.#log = log
    this.#database = new DatabaseSync(path)
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON')
    this.#database.exec(schema)
    this.#step = new SqliteStep(this.#database)
  }

  get reachable(): boolean {
    return !this.#closed
  }

  submit(call: Call): void {
    if (this.#closed) return call.fail(unavailable('closed'))
    if (this.#queue.push(call) === 1) setImmediate(() => this.#flush())
  }

  async listen(key: Key, onSignal: (payload: string) => void): Promise<() => void> {
    const listeners = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, listeners)
    const listener = (payload: string) => onSignal(payload)
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(key)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#flush()
    this.#closed = true
    this.#database.close()
  }

  #flush(): void {
    const calls = this.#queue
    if (calls.length === 0) return
    this.#queue = []
    const settle: (() => void)[] = []
    this.#step.now = this.#clock.now()
    try {
      if (!this.#runAll(calls, settle)) this.#runEach(calls, settle)
    } catch (error) {
      for (const call of calls) call.fail(unavailable(error))
      this.#step.signals = []
      return
    }
    for (const each of settle) each()
    this.#deliver()
  }

  #runAll(calls: readonly Call[], settle: (() => void)[]): boolean {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      for (const call of calls) {
        const reply = this.#runOne(call)
        settle.push(() => call.succeed(reply))
      }
    } catch {
      this.#database.exec('ROLLBACK')
      this.#step.signals = []
      settle.length = 0
      return false
    }
    this.#database.exec('COMMIT')
    return true
  }

  #runEach(calls: readonly Call[], settle: (() => void)[]): void {
    this.#database.exec('BEGIN IMMEDIATE')
    for (const call of calls) {
      const signals = this.#step.signals.length
      this.#database.exec('SAVEPOINT call')
      try {
        const reply = this.#runOne(call)
        settle.push(() => call.succeed(reply))
      } catch (error) {
        this.#database.exec('ROLLBACK TO call')
        this.#step.signals.length = signals
        settle.push(() => call.fail(error))
      }
      this.#database.exec('RELEASE call')
    }
    this.#database.exec('COMMIT')
  }

  #runOne({ operation, keys, args }: Call): Reply {
    return operation.twin(this.#step, keys, args)
  }

  #deliver(): void {
    const signals = this.#step.signals
    this.#step.signals = []
    for (const { key, payload } of signals) {
      for (const listener of this.#listeners.get(key) ?? []) {
        try {
          listener(payload)
        } catch (error) {
          this.#log.error({ err: error }, 'a listener of a signal failed')
        }
      }
    }
  }
}
