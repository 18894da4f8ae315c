import type { Clock } from '#platform/clock.ts'

const SHARE_OF_REQUESTS = 0.1
const RESERVE = 100
const RESERVE_REGAIN_MS = 6000
const MAX_BALANCE = 1000

/**
 * Extra calls, those that follow a failed one, are at most a tenth of all requests, so that an outage is not answered with
 * a storm. So that a small system, or one whose provider dies under all its streams at once, can fail over too, there is a
 * reserve of 100, which comes back at ten a minute. What busy times save up is kept up to 1,000.
 */
export class RetryBudget {
  readonly #clock: Clock
  #balance = RESERVE
  #regainedAt: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#regainedAt = clock.monotonic()
  }

  /** For each request, whatever becomes of it. */
  deposit(): void {
    this.#balance = Math.min(MAX_BALANCE, this.#balance + SHARE_OF_REQUESTS)
  }

  /** Takes one extra call out; false when there is none left. */
  withdraw(): boolean {
    this.#regain()
    if (this.#balance < 1) return false
    this.#balance -= 1
    return true
  }

  #regain(): void {
    const regained = Math.floor((this.#clock.monotonic() - this.#regainedAt) / RESERVE_REGAIN_MS)
    this.#regainedAt += regained * RESERVE_REGAIN_MS
    if (this.#balance < RESERVE) this.#balance = Math.min(RESERVE, this.#balance + regained)
  }
}
