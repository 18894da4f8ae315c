import type { Key } from '#platform/kv/kv.ts'
import type { LiveTurn } from './live-turn.ts'
import type { ChatRoom } from './turn-context.ts'

/** What a reader sleeps on: news of a turn in memory, or a signal about its log, or the end of its own interest. */
export class Wakeups {
  readonly #room: ChatRoom
  readonly #log: Key
  readonly #signal: AbortSignal
  readonly #onAbort = () => this.#wake()
  #live: LiveTurn | undefined
  #sleeper: PromiseWithResolvers<void> | undefined
  #signalled = false
  #listening: Promise<() => void> | undefined

  constructor(room: ChatRoom, log: Key, signal: AbortSignal) {
    this.#room = room
    this.#log = log
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Until the turn in memory changes. */
  change(live: LiveTurn): Promise<void> {
    this.#live = live
    return live.change()
  }

  /** Until the log is signalled, at most `atMostMs`; at once when it was since the last time. */
  async signalled(atMostMs: number): Promise<void> {
    this.#listening ??= this.#listen()
    if (this.#signalled || this.#signal.aborted) {
      this.#signalled = false
      return
    }
    this.#sleeper = Promise.withResolvers<void>()
    const cancel = this.#room.clock.after(atMostMs, this.#sleeper.resolve)
    await this.#sleeper.promise
    cancel()
    this.#sleeper = undefined
    this.#signalled = false
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    void this.#listening?.then((stop) => stop())
  }

  #wake(): void {
    this.#signalled = true
    this.#sleeper?.resolve()
    this.#live?.wake()
  }

  /** Signals are a shortcut; without them the reader looks again by itself. */
  async #listen(): Promise<() => void> {
    try {
      return await this.#room.kv.listen(this.#log, () => this.#wake())
    } catch {
      return () => {}
    }
  }
}
