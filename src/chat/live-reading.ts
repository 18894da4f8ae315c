import type { LiveTurn } from './live-turn.ts'
import { isTerminal, type TurnEvent } from './turn-events.ts'
import type { Wakeups } from './wakeups.ts'

type Batch = readonly TurnEvent[]

export interface LiveReadingOptions {
  live: LiveTurn
  /** A position that it has come to, or -1. */
  after: number
  signal: AbortSignal
  wakeups: Pick<Wakeups, 'change' | 'close'>
  /** Goes on after a position, wherever that takes it. */
  onward(after: number): AsyncGenerator<Batch>
}

/**
 * A turn that this replica produces, read from memory for as long as its log has what is there; where it has not, or no more comes,
 * `onward` takes over. By hand, since a generator makes several promises for each batch, and nearly every batch is one token.
 */
export class LiveReading implements AsyncIterableIterator<Batch> {
  readonly #options: LiveReadingOptions
  #next: number
  #isOver = false
  #onward: AsyncGenerator<Batch> | undefined
  readonly #again = () => this.next()

  constructor(options: LiveReadingOptions) {
    this.#options = options
    this.#next = options.after + 1
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Batch>> {
    if (this.#isOver || this.#options.signal.aborted) return this.return()
    const batch = this.#onward ? undefined : this.#logged()
    if (!batch) return this.#goOn().next()
    const last = batch.at(-1)
    if (!last) return this.#options.wakeups.change(this.#options.live).then(this.#again)
    this.#next += batch.length
    this.#isOver = isTerminal(last.type)
    return Promise.resolve({ done: false, value: batch })
  }

  async return(): Promise<IteratorResult<Batch>> {
    this.#isOver = true
    this.#options.wakeups.close()
    await this.#onward?.return(undefined)
    return { done: true, value: undefined }
  }

  /** Undefined where memory does not tell how it goes on: a position may be missing, or gone. */
  #logged(): Batch | undefined {
    const { live } = this.#options
    const batch = live.from(this.#next)
    const last = batch?.at(-1)
    if (last ? last.position === undefined : live.ended) return undefined
    return batch
  }

  #goOn(): AsyncGenerator<Batch> {
    if (!this.#onward) {
      this.#options.wakeups.close()
      this.#onward = this.#options.onward(this.#next - 1)
    }
    return this.#onward
  }
}
