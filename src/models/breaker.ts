import type { Clock } from '#platform/clock.ts'

export type CircuitState = 'closed' | 'open' | 'half-open'

/** Leave for one call; to be given back with exactly one of `success`, `failure` and `neutral`. */
export interface Permit {
  /** Opening and closing begin a new era; what a call of an earlier one has to tell is no news. */
  era: number
  trial: boolean
}

export interface BreakerOptions {
  clock: Clock
  random: () => number
  onOpen(openMs: number): void
  onClose(): void
}

const IN_A_ROW = 5
const MIN_FAILURES = 5
const OUTCOMES = 20
const OUTCOMES_WINDOW_MS = 30_000
const MIN_OPEN_MS = 2000
const MAX_OPEN_MS = 60_000

/**
 * The circuit of one deployment.
 *
 *   closed     every call passes. → open: at 5 failures in a row; when at least 5, and at least half, of the last 20
 *              outcomes of the last 30 s are failures; or when the first outcome since it closed is a failure.
 *   open       no call passes but forced ones (where too much of a route would be out). → half-open: when its time is
 *              over, half to all of 4 s, doubled each time it opens again, 60 s at most. → closed: a forced call speaks.
 *   half-open  one trial passes, a probe or a call. → closed: it speaks. → open: it fails. A neutral end (429, a refused
 *              or cancelled call) frees the slot for another trial.
 *
 * An operator may hold it open (not even forced calls pass) or closed; outcomes do not move it then.
 */
export class Breaker {
  readonly #options: BreakerOptions
  readonly #outcomes: { at: number; failed: boolean }[] = []
  #state: CircuitState = 'closed'
  #held: 'open' | 'closed' | undefined
  #era = 0
  #inARow = 0
  /** Times it opened since a call last went well from beginning to end. */
  #openings = 0
  #openUntil = 0
  #trialRuns = false
  #onProbation = false

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get state(): CircuitState {
    if (this.#held) return this.#held
    if (this.#state === 'open' && this.#options.clock.monotonic() >= this.#openUntil) this.#state = 'half-open'
    return this.#state
  }

  get held(): 'open' | 'closed' | undefined {
    return this.#held
  }

  /** When an open circuit becomes half-open, on the monotonic clock. */
  get openUntil(): number {
    return this.#openUntil
  }

  /** Whether `admit` would give a permit. */
  get admits(): boolean {
    const state = this.state
    return state === 'closed' || (state === 'half-open' && !this.#trialRuns)
  }

  admit(): Permit | undefined {
    if (!this.admits) return undefined
    const trial = this.state === 'half-open'
    if (trial) this.#trialRuns = true
    return { era: this.#era, trial }
  }

  /** A permit whatever the state, unless an operator holds the circuit open. */
  force(): Permit | undefined {
    return this.#held === 'open' ? undefined : (this.admit() ?? { era: this.#era, trial: false })
  }

  /** The call begins to speak: enough to close the circuit, so that a long answer does not keep others waiting. */
  speaks(permit: Permit): void {
    if (permit.era !== this.#era || this.#held || this.#state === 'closed') return
    this.#close()
    permit.era = this.#era
    permit.trial = false
  }

  success(permit: Permit): void {
    this.speaks(permit)
    if (permit.era !== this.#era || this.#held) return
    this.#record(false)
    this.#inARow = 0
    this.#openings = 0
    this.#onProbation = false
  }

  failure(permit: Permit): void {
    if (permit.era !== this.#era || this.#held) return
    if (this.#state !== 'closed') {
      if (permit.trial) this.#open()
      return
    }
    this.#record(true)
    this.#inARow += 1
    if (this.#onProbation || this.#inARow >= IN_A_ROW || this.#tooManyFail()) this.#open()
  }

  neutral(permit: Permit): void {
    if (permit.trial && permit.era === this.#era) this.#trialRuns = false
  }

  /** By an operator; `auto` gives it back, closed and without a past. */
  hold(state: 'open' | 'closed' | 'auto'): void {
    this.#held = state === 'auto' ? undefined : state
    this.#close()
    this.#openings = 0
    this.#onProbation = false
  }

  #open(): void {
    const longest = Math.min(MAX_OPEN_MS, 2 * MIN_OPEN_MS * 2 ** this.#openings)
    const openMs = (longest / 2) * (1 + this.#options.random())
    this.#era += 1
    this.#state = 'open'
    this.#trialRuns = false
    this.#openings += 1
    this.#openUntil = this.#options.clock.monotonic() + openMs
    this.#options.onOpen(openMs)
  }

  #close(): void {
    const wasClosed = this.#state === 'closed'
    this.#era += 1
    this.#state = 'closed'
    this.#trialRuns = false
    this.#outcomes.length = 0
    this.#inARow = 0
    this.#onProbation = true
    if (!wasClosed) this.#options.onClose()
  }

  #record(failed: boolean): void {
    this.#outcomes.push({ at: this.#options.clock.monotonic(), failed })
    if (this.#outcomes.length > OUTCOMES) this.#outcomes.shift()
  }

  #tooManyFail(): boolean {
    const oldest = this.#options.clock.monotonic() - OUTCOMES_WINDOW_MS
    const recent = this.#outcomes.filter((outcome) => outcome.at >= oldest)
    const failures = recent.filter((outcome) => outcome.failed).length
    return failures >= MIN_FAILURES && failures * 2 >= recent.length
  }
}
