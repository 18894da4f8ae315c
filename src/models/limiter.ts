import type { Clock } from '#platform/clock.ts'

interface Waiter {
  limit: number
  settle(granted: boolean): void
}

/** Of one call. */
export interface Place {
  /** How many calls at once. */
  limit: number
  /** How many may wait. */
  queue: number
  /** For whom it is made. */
  tenant: string
}

/**
 * How many calls a deployment takes at once; so many more may wait. Tenants take turns, and the calls of one are served as they
 * came: who has a thousand waiting does not hold up who has one. In a full queue the tenant that has the most makes room for
 * one that has fewer. The bounds come with each call, because config versions that share a deployment may set different ones;
 * without a limit, nothing waits.
 */
export class Limiter {
  readonly #clock: Clock
  /** By tenant, whose turn it is first; of each in order of arrival, and whoever gives up leaves at once. */
  readonly #waiting = new Map<string, Set<Waiter>>()
  #queued = 0
  #active = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get active(): number {
    return this.#active
  }

  get queued(): number {
    return this.#queued
  }

  /** Takes a place if one is free and nobody waits for it. */
  tryAcquire(limit: number): boolean {
    if (this.#queued > 0 || this.#active >= limit) return false
    this.#active += 1
    return true
  }

  /** Waits for a place; false when the queue is full or the time is up. Rejects with the signal's reason. */
  wait({ limit, queue, tenant }: Place, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (timeoutMs <= 0 || (this.#queued >= queue && !this.#makeRoom(tenant))) return Promise.resolve(false)
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#leave(tenant, waiter)
        cancelTimer()
        signal.removeEventListener('abort', onAbort)
      }
      const onAbort = () => {
        leave()
        reject(signal.reason)
      }
      const waiter: Waiter = {
        limit,
        settle: (granted) => {
          leave()
          resolve(granted)
        },
      }
      const cancelTimer = this.#clock.after(timeoutMs, () => waiter.settle(false))
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.getOrInsertComputed(tenant, () => new Set()).add(waiter)
      this.#queued += 1
    })
  }

  release(): void {
    this.#active -= 1
    for (;;) {
      const [next] = this.#waiting
      const [waiter] = next?.[1] ?? []
      if (!next || !waiter || this.#active >= waiter.limit) return
      this.#active += 1
      waiter.settle(true)
      // Its next call comes after those of all others.
      const [tenant, others] = next
      if (this.#waiting.delete(tenant)) this.#waiting.set(tenant, others)
    }
  }

  #leave(tenant: string, waiter: Waiter): void {
    const waiting = this.#waiting.get(tenant)
    if (!waiting?.delete(waiter)) return
    this.#queued -= 1
    if (waiting.size === 0) this.#waiting.delete(tenant)
  }

  /** Turns away the last of the tenant that has the most waiting, for one that would still have fewer. */
  #makeRoom(tenant: string): boolean {
    let most: Set<Waiter> | undefined
    for (const waiting of this.#waiting.values()) if (waiting.size > (most?.size ?? 0)) most = waiting
    const own = this.#waiting.get(tenant)?.size ?? 0
    if (!most || most.size <= own + 1) return false
    const last = [...most].at(-1)
    last?.settle(false)
    return true
  }
}
