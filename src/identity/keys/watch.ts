import type { Clock } from '#platform/clock.ts'
import type { Withdrawals } from '../keys.ts'
import { type Credential, endOf } from './credential.ts'

export interface WatchOptions {
  withdrawals: Withdrawals
  /** What is known by now of a text that was good; undefined where it is no more. */
  latest(credential: Credential): Credential | undefined
  /** Has a key read again where that was long ago, or one of its texts is in doubt. Never rejects. */
  refresh(id: string): Promise<void>
  clock: Clock
}

const EVERY_MS = 250
/**
 * Out of reach for so long, the store cannot tell any more whether a key is good; one that is merely slow gets longer, since what
 * was withdrawn comes with its answer.
 */
const AWAY_MS = 1000
const SILENT_MS = 5000

/** Streams that are open by a key: told within half a second that it has ended, and all of them when that cannot be known. */
export class Watch {
  readonly #options: WatchOptions
  readonly #listeners = new Map<() => void, Credential>()
  readonly #stopHearing: () => void
  #cancelNext: (() => void) | undefined
  #lookedAt = 0

  constructor(options: WatchOptions) {
    this.#options = options
    this.#stopHearing = options.withdrawals.onChange(() => {
      this.#endThose(false)
      this.#refresh()
    })
  }

  /** The result ends it. */
  add(credential: Credential, listener: () => void): () => void {
    const told = () => listener()
    this.#listeners.set(told, credential)
    if (!this.#cancelNext) this.#wait()
    return () => void this.#listeners.delete(told)
  }

  close(): void {
    this.#cancelNext?.()
    this.#stopHearing()
    this.#listeners.clear()
  }

  #wait(): void {
    const { clock } = this.#options
    this.#lookedAt = clock.monotonic()
    this.#cancelNext = clock.after(EVERY_MS, () => this.#look())
  }

  #look(): void {
    const { withdrawals, clock } = this.#options
    this.#cancelNext = undefined
    // Who was held up itself has not heard of the store for that reason alone.
    const wasHeldUp = clock.monotonic() - this.#lookedAt > 2 * EVERY_MS
    const isDeaf = !wasHeldUp && withdrawals.silentMs > (withdrawals.isAway ? AWAY_MS : SILENT_MS)
    this.#endThose(isDeaf)
    this.#refresh()
    if (this.#listeners.size > 0) this.#wait()
  }

  #refresh(): void {
    for (const id of new Set([...this.#listeners.values()].map(({ row }) => row.id))) void this.#options.refresh(id)
  }

  #endThose(all: boolean): void {
    const { withdrawals, latest, clock } = this.#options
    const now = clock.now()
    for (const [listener, credential] of this.#listeners) {
      const present = latest(credential)
      if (present && !all && !endOf(present, withdrawals, now)) continue
      this.#listeners.delete(listener)
      listener()
    }
  }
}
