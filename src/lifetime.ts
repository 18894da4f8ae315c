import type { Log } from '#log.ts'
import { type Clock, waitAtMost } from '#platform/clock.ts'

export interface LifetimeOptions {
  clock: Clock
  log: Log
  /** What each part has to close. */
  partMs: number
}

interface Part {
  name: string
  close: () => unknown
}

/**
 * What is open, part by part, and closed in reverse order. A part that fails, or takes longer than it may, is told of, and keeps
 * none of the others open.
 */
export class Lifetime implements AsyncDisposable {
  readonly #options: LifetimeOptions
  #parts: Part[] = []
  readonly #unclosed: string[] = []
  #slowest = { part: 'none', ms: 0 }

  constructor(options: LifetimeOptions) {
    this.#options = options
  }

  defer(name: string, close: () => unknown): void {
    this.#parts.push({ name, close })
  }

  use(name: string, part: AsyncDisposable): void {
    this.defer(name, () => part[Symbol.asyncDispose]())
  }

  /** Another that all parts belong to from now on. */
  move(): Lifetime {
    const moved = new Lifetime(this.#options)
    moved.#parts = this.#parts
    this.#parts = []
    return moved
  }

  /** One step of closing. Never rejects: `close` tells of it in the end. */
  async end(part: string, work: () => unknown, withinMs: number = this.#options.partMs): Promise<void> {
    const { clock, log } = this.#options
    const beganAt = clock.monotonic()
    const over = Promise.withResolvers<never>()
    const cancel = waitAtMost(clock, withinMs, () => over.reject(new Error(`not closed within ${withinMs} ms`)))
    try {
      await Promise.race([work(), over.promise])
    } catch (error) {
      this.#unclosed.push(part)
      log.error({ err: error, part }, 'A part of the process could not be closed')
    } finally {
      cancel()
    }
    const ms = Math.round(clock.monotonic() - beganAt)
    if (ms > this.#slowest.ms) this.#slowest = { part, ms }
  }

  /** Closes what is left. Rejects, naming them, when a part was not closed. */
  async close(): Promise<void> {
    await this[Symbol.asyncDispose]()
    if (this.#unclosed.length > 0) throw new Error(`not closed: ${this.#unclosed.join(', ')}`)
    this.#options.log.info({ slowest: this.#slowest.part, ms: this.#slowest.ms }, 'The process has stopped')
  }

  /** As `close`, where something else went wrong before, which is what has to be told. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let part = this.#parts.pop(); part; part = this.#parts.pop()) await this.end(part.name, part.close)
  }
}
