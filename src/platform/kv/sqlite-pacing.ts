/** Between two commits under load. */
const SPACING_MS = 2
/** Looked at together. */
const WINDOW = 64
/** A spaced commit with fewer calls saved nothing. */
const WORTHWHILE = 8

/**
 * A commit costs the same for one call as for twenty. So when commits come faster than every half millisecond they are
 * spaced, and each takes along what gathers meanwhile. A caller who waits for each answer before the next call gains
 * nothing by that: spaced commits that gather nothing end the spacing.
 */
export class CommitPacing {
  readonly #nowMs: () => number
  #spaced = false
  #commits = 0
  #sinceMs: number

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
    this.#sinceMs = nowMs()
  }

  /** How long the next commit waits; 0: until the end of the tick. */
  get delayMs(): number {
    return this.#spaced ? SPACING_MS : 0
  }

  committed(calls: number): void {
    if (this.#spaced) {
      this.#spaced = calls >= WORTHWHILE
      return
    }
    this.#commits += 1
    if (this.#commits < WINDOW) return
    const nowMs = this.#nowMs()
    this.#spaced = nowMs - this.#sinceMs < (WINDOW * SPACING_MS) / 4
    this.#commits = 0
    this.#sinceMs = nowMs
  }
}
