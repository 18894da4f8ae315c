import type { Clock } from '#platform/clock.ts'

const WINDOW_MS = 5 * 60_000
const MAX_SAMPLES = 512

/** As people are told of a duration in ms: what a clock says beyond that is noise. */
export function toTenths(durationMs: number): number {
  return Math.round(durationMs * 10) / 10
}

/** Durations of the last five minutes, at most the newest 512 of them. */
export class Latency {
  readonly #clock: Clock
  readonly #durations = new Float64Array(MAX_SAMPLES)
  readonly #times = new Float64Array(MAX_SAMPLES)
  #count = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(durationMs: number): void {
    const slot = this.#count % MAX_SAMPLES
    this.#durations[slot] = durationMs
    this.#times[slot] = this.#clock.monotonic()
    this.#count += 1
  }

  /** By nearest rank; undefined without samples. */
  percentiles(): { p50: number | undefined; p95: number | undefined } {
    const oldest = this.#clock.monotonic() - WINDOW_MS
    const held = Math.min(this.#count, MAX_SAMPLES)
    const recent = this.#durations
      .subarray(0, held)
      .filter((_, slot) => (this.#times[slot] ?? 0) >= oldest)
      .sort()
    const rank = (share: number) => {
      const found = recent[Math.ceil(share * recent.length) - 1]
      return found === undefined ? undefined : toTenths(found)
    }
    return { p50: rank(0.5), p95: rank(0.95) }
  }
}
