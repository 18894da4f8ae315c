import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Stop } from '../stops.ts'
import type { KeptStops, Remembered } from './kept.ts'

export interface LastingOptions {
  kept: KeptStops
  clock: Clock
  log: Log
}

/** What operators have stopped, and whose tokens they have revoked: keys and budgets stand in the database by themselves. */
const LASTING = /^(?:all$|tenant:|specialist:|model:|action:|person:)/
const RETRY_MS = 5000

/** Keeps what is to outlast the store in the database: every replica, as it hears of it, for whoever changed it may be gone. */
export class Lasting {
  readonly #options: LastingOptions
  #last: string | undefined
  #due: { stops: Remembered; changedAt: number } | undefined
  #isRecalled = false
  #triedAt = Number.NEGATIVE_INFINITY
  #isKeeping = false

  constructor(options: LastingOptions) {
    this.#options = options
  }

  /** Kept in the background: whoever stops something does not wait for a database. */
  changed(stops: Iterable<Stop>, version: number): void {
    const text = JSON.stringify(Array.from(stops).filter(({ scope }) => LASTING.test(scope)))
    if (text === this.#last) return
    this.#last = text
    this.#due = { stops: { text, version }, changedAt: this.#options.clock.now() }
    this.#triedAt = Number.NEGATIVE_INFINITY
    this.goOn()
  }

  /** What was kept when this process began, once, for a store that knows less. Never rejects. */
  async recall(): Promise<Remembered | undefined> {
    const { kept, clock, log } = this.#options
    if (this.#isRecalled || clock.monotonic() - this.#triedAt < RETRY_MS) return undefined
    this.#triedAt = clock.monotonic()
    try {
      const found = await kept.read()
      this.#isRecalled = true
      this.#triedAt = Number.NEGATIVE_INFINITY
      return found
    } catch (error) {
      log.debug({ err: error }, 'What was stopped before could not be looked up in the database; it is tried again')
      return undefined
    }
  }

  /** One at a time, and again after a while where it fails; not over what nobody has recalled yet. */
  goOn(): void {
    const { clock } = this.#options
    if (this.#isKeeping || !this.#isRecalled || !this.#due || clock.monotonic() - this.#triedAt < RETRY_MS) return
    void this.#keep()
  }

  /** What it is by now, until nothing newer has come meanwhile. Never rejects. */
  async #keep(): Promise<void> {
    const { kept, clock, log } = this.#options
    this.#isKeeping = true
    try {
      for (let due = this.#due; due; due = this.#due) {
        this.#triedAt = clock.monotonic()
        await kept.keep(due.stops, due.changedAt)
        if (this.#due === due) this.#due = undefined
      }
    } catch (error) {
      log.debug({ err: error }, 'What is stopped could not be kept in the database; it is tried again')
    }
    this.#isKeeping = false
  }
}
