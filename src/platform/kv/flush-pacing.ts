/** Between two flushes under load. */
const SPACING_MS = 2
/** Looked at together. */
const WINDOW = 64
/** A spaced flush with fewer calls saved nothing. */
const WORTHWHILE = 8

/**
 * A transaction of SQLite, or a write to Redis and the read of its answer, costs nearly the same for one call as for twenty.
 * So when flushes come faster than every half millisecond they are spaced, and each takes along what gathers meanwhile. A
 * caller who waits for each answer before the next call gains nothing by that: spaced flushes that gather nothing end the
 * spacing.
 */
export class FlushPacing {
  readonly #nowMs: () => number
  #spaced = false
  #flushes = 0
  #sinceMs: number

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
    this.#sinceMs = nowMs()
  }

  /** How long the next flush waits; 0: until the end of the tick. */
  get delayMs(): number {
    return this.#spaced ? SPACING_MS : 0
  }

  flushed(calls: number): void {
    if (this.#spaced) {
      this.#spaced = calls >= WORTHWHILE
      return
    }
    this.#flushes += 1
    if (this.#flushes < WINDOW) return
    const nowMs = this.#nowMs()
    this.#spaced = nowMs - this.#sinceMs < (WINDOW * SPACING_MS) / 4
    this.#flushes = 0
    this.#sinceMs = nowMs
  }
}
