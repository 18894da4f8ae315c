import type { Clock } from '#platform/clock.ts'
import { PassingError } from '../executor.ts'

const FIRST_DELAY_MS = 500
const MAX_DELAY_MS = 30_000
/** A connection that lasted so long was a good one: the count starts again. */
const GOOD_AFTER_MS = 60_000

/**
 * When a connection may be opened again: at once after the first failure, then after 0.5 s, twice as long each time, up to
 * 30 s, of which a random half is left off.
 */
export class Backoff {
  readonly #clock: Clock
  readonly #random: () => number
  #failures = 0
  #openedAt: number | undefined
  #notBefore = 0

  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock
    this.#random = random
  }

  /** Throws `PassingError` while it is too early. */
  pass(): void {
    const retryAfterMs = Math.ceil(this.#notBefore - this.#clock.monotonic())
    if (this.#failures === 0 || retryAfterMs <= 0) return
    const message = 'The MCP server has failed repeatedly and is given a rest.'
    throw new PassingError(message, { reason: 'connect_failed', retryAfterMs, untouched: true })
  }

  opened(): void {
    this.#openedAt = this.#clock.monotonic()
  }

  /** It did not open, or what was open has ended. */
  failed(): void {
    const now = this.#clock.monotonic()
    if (this.#openedAt !== undefined && now - this.#openedAt >= GOOD_AFTER_MS) this.#failures = 0
    this.#openedAt = undefined
    this.#failures += 1
    if (this.#failures === 1) return
    const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#failures - 2))
    this.#notBefore = now + delayMs * (0.5 + this.#random() / 2)
  }
}
