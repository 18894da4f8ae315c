import type { RolloutView } from '#config/rollouts.ts'
import { sseEvents } from '../../test/support/sse.ts'

/** The rollout as one replica tells of it, while it lives. */
export class Following implements AsyncDisposable {
  view: RolloutView | undefined
  readonly url: string
  readonly #leaving = new AbortController()
  readonly #ended: Promise<void>
  readonly #heard = new Set<() => void>()

  constructor(url: string, onView: (view: RolloutView) => void = () => {}) {
    this.url = url
    this.#ended = this.#listen(onView).catch(() => {})
  }

  /** When it was first so, on the clock of `performance.now()`; rejects where that does not come about in time. */
  async until(holds: (view: RolloutView) => boolean, timeoutMs: number): Promise<number> {
    const isOver = AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#leaving.signal])
    for (;;) {
      if (this.view && holds(this.view)) return performance.now()
      if (isOver.aborted) throw new Error(`${this.url} did not come to it: ${this.view?.verdict.sentence}`)
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#heard.delete(wake)
          isOver.removeEventListener('abort', wake)
          resolve()
        }
        this.#heard.add(wake)
        isOver.addEventListener('abort', wake)
      })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving.abort()
    await this.#ended
  }

  async #listen(onView: (view: RolloutView) => void): Promise<void> {
    const { signal } = this.#leaving
    const response = await fetch(`${this.url}/api/v1/config/rollout/stream`, { signal })
    for await (const { data } of sseEvents(response.body)) {
      const view = data as RolloutView
      this.view = view
      onView(view)
      for (const wake of [...this.#heard]) wake()
    }
  }
}
