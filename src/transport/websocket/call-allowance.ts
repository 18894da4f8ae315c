import type { Clock } from '#platform/clock.ts'
import type { WebSocketLimits } from '../limits.ts'

export type Verdict = 'allowed' | 'refused' | 'exhausted'

/**
 * A token bucket that refused calls draw on, too: whoever goes on too fast is refused until there has been a pause, and with
 * as many refusals as the burst is long the patience with it is exhausted.
 */
export class CallAllowance {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  #left: number
  #countedAtMs: number

  constructor(clock: Clock, { callsPerSecond, callBurst }: Pick<WebSocketLimits, 'callsPerSecond' | 'callBurst'>) {
    this.#clock = clock
    this.#perSecond = callsPerSecond
    this.#burst = callBurst
    this.#left = callBurst
    this.#countedAtMs = clock.monotonic()
  }

  take(): Verdict {
    const nowMs = this.#clock.monotonic()
    const regained = ((nowMs - this.#countedAtMs) * this.#perSecond) / 1000
    this.#countedAtMs = nowMs
    this.#left = Math.min(this.#burst, this.#left + regained) - 1
    if (this.#left >= 0) return 'allowed'
    return this.#left >= -this.#burst ? 'refused' : 'exhausted'
  }

  /** Until a call is allowed again. */
  get retryAfterMs(): number {
    return Math.ceil(((1 - this.#left) * 1000) / this.#perSecond)
  }
}
