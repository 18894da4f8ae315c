import { ParleyError } from '#errors.ts'
import type { Clock } from '#platform/clock.ts'

/** The relays under way on this replica. Nobody can take one over, so at the end of the grace time they are called off. */
export class Relays {
  readonly #running = new Set<AbortController>()
  #onIdle: () => void = () => {}

  get size(): number {
    return this.#running.size
  }

  async run<Result>(abort: AbortController, work: () => Promise<Result>): Promise<Result> {
    this.#running.add(abort)
    try {
      return await work()
    } finally {
      this.#running.delete(abort)
      if (this.#running.size === 0) this.#onIdle()
    }
  }

  /** Resolves once none is under way. */
  async drain(clock: Clock, graceMs: number): Promise<void> {
    if (this.#running.size === 0) return
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
    const stopWaiting = clock.after(graceMs, () => {
      for (const abort of this.#running) abort.abort(new ParleyError('shutting_down'))
    })
    await idle
    stopWaiting()
  }
}
