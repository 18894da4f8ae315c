import type { Clock } from '#platform/clock.ts'

interface Waiter {
  limit: number
  grant(): void
}

/**
 * How many calls a deployment takes at once; as many again may wait, first come, first served. The limit comes with each
 * call, because config versions that share a deployment may set different ones; without one, nothing waits.
 */
export class Limiter {
  readonly #clock: Clock
  /** In order of arrival; a set, so that whoever gives up leaves at once. */
  readonly #waiting = new Set<Waiter>()
  #active = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get active(): number {
    return this.#active
  }

  get queued(): number {
    return this.#waiting.size
  }

  /** Takes a place if one is free and nobody waits for it. */
  tryAcquire(limit: number): boolean {
    if (this.#waiting.size > 0 || this.#active >= limit) return false
    this.#active += 1
    return true
  }

  /** Waits for a place; false when the queue is full or the time is up. Rejects with the signal's reason. */
  wait(limit: number, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#waiting.size >= limit || timeoutMs <= 0) return Promise.resolve(false)
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiter)
        cancelTimer()
        signal.removeEventListener('abort', onAbort)
      }
      const onAbort = () => {
        leave()
        reject(signal.reason)
      }
      const waiter: Waiter = {
        limit,
        grant: () => {
          leave()
          resolve(true)
        },
      }
      const cancelTimer = this.#clock.after(timeoutMs, () => {
        leave()
        resolve(false)
      })
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(waiter)
    })
  }

  release(): void {
    this.#active -= 1
    for (const waiter of this.#waiting) {
      if (this.#active >= waiter.limit) return
      this.#active += 1
      waiter.grant()
    }
  }
}
