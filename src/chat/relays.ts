import { ParleyError } from '#errors.ts'
import { type Stops, stopError, type Work } from '#governance/stops.ts'
import type { Clock } from '#platform/clock.ts'
import { Roster } from '#platform/roster.ts'

/** The relays under way on this replica. Nobody can take one over, so at the end of the grace time they are called off. */
export class Relays {
  readonly #running = new Roster<{ abort: AbortController; what: Work }>()
  #onIdle: () => void = () => {}

  get size(): number {
    return this.#running.size
  }

  async run<Result>(abort: AbortController, what: Work, work: () => Promise<Result>): Promise<Result> {
    const leave = this.#running.add({ abort, what })
    try {
      return await work()
    } finally {
      leave()
      if (this.#running.size === 0) this.#onIdle()
    }
  }

  /** Calls off what has been stopped. */
  cutStopped(stops: Pick<Stops, 'found'>): void {
    for (const { abort, what } of this.#running) {
      const stop = stops.found(what)
      if (stop) abort.abort(stopError(stop))
    }
  }

  /** Resolves once none is under way. */
  async drain(clock: Clock, graceMs: number): Promise<void> {
    if (this.#running.size === 0) return
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
    const stopWaiting = clock.after(graceMs, () => {
      for (const { abort } of this.#running) abort.abort(new ParleyError('shutting_down'))
    })
    await idle
    stopWaiting()
  }
}
