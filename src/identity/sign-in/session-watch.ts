import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Key, Kv } from '#platform/kv/kv.ts'
import { isSessionOn } from './session-steps.ts'

export interface SessionWatchOptions {
  kv: Pick<Kv, 'listen' | 'run'>
  clock: Clock
  log: Log
}

interface Watched {
  listeners: Set<() => void>
  stopListening: Promise<() => void>
}

/** Half of what a replica may take to hear of an end: a signal is quicker, and may be lost. */
const LOOK_EVERY_MS = 500

/**
 * Tells of sessions that are ended, on whichever replica, within a second: by a signal, and by looking twice a second at those
 * that somebody watches. With the store away none can be ended; what was on stays so.
 */
export class SessionWatch {
  readonly #options: SessionWatchOptions
  readonly #watched = new Map<Key, Watched>()
  #cancelNext: (() => void) | undefined

  constructor(options: SessionWatchOptions) {
    this.#options = options
  }

  /** Calls the listener once, when the session has ended; the result stops it. */
  watch(session: Key, onEnded: () => void): () => void {
    const watched = this.#watched.get(session) ?? this.#begin(session)
    const listener = () => onEnded()
    watched.listeners.add(listener)
    return () => {
      watched.listeners.delete(listener)
      if (watched.listeners.size === 0) this.#leave(session, watched)
    }
  }

  #begin(session: Key): Watched {
    const watched: Watched = { listeners: new Set(), stopListening: this.#listen(session) }
    this.#watched.set(session, watched)
    this.#lookSoon()
    // It may have ended since it was read.
    void this.#look(session)
    return watched
  }

  async #listen(session: Key): Promise<() => void> {
    try {
      return await this.#options.kv.listen(session, () => void this.#look(session))
    } catch {
      return () => {}
    }
  }

  async #lookAtAll(): Promise<void> {
    this.#cancelNext = undefined
    await Promise.all([...this.#watched.keys()].map((session) => this.#look(session)))
    if (this.#watched.size > 0) this.#lookSoon()
  }

  #lookSoon(): void {
    this.#cancelNext ??= this.#options.clock.after(LOOK_EVERY_MS, () => void this.#lookAtAll())
  }

  async #look(session: Key): Promise<void> {
    const { kv, log } = this.#options
    try {
      if (await kv.run(isSessionOn, [session], [])) return
    } catch (error) {
      return log.debug({ err: error }, 'Whether a session is still on could not be read; what was on stays so')
    }
    const watched = this.#watched.get(session)
    if (!watched) return
    this.#leave(session, watched)
    for (const listener of watched.listeners) listener()
  }

  #leave(session: Key, watched: Watched): void {
    if (this.#watched.get(session) !== watched) return
    this.#watched.delete(session)
    void watched.stopListening.then((stop) => stop())
    if (this.#watched.size > 0) return
    this.#cancelNext?.()
    this.#cancelNext = undefined
  }
}
