import { turnLimits } from './limits.ts'
import type { TurnEvent } from './turn-events.ts'

/**
 * The end of a turn's log that this replica holds in memory for its own readers: what the log has acknowledged and, while
 * the log is out of reach, what it has not (events without a position). A reader keeps its own place and takes what is new
 * when it is ready for it, so a slow one costs nothing.
 */
export class LiveTurn {
  #base: number
  #events: TurnEvent[] = []
  #changed: PromiseWithResolvers<void> | undefined
  /** Nothing more comes from this replica. */
  ended = false

  constructor(firstPosition: number) {
    this.#base = firstPosition
  }

  /** The place after the last event. */
  get end(): number {
    return this.#base + this.#events.length
  }

  push(events: readonly TurnEvent[]): void {
    this.#events.push(...events)
    this.#trim()
    this.wake()
  }

  /** Events shown before the log had them get their positions. */
  acknowledge(events: readonly TurnEvent[]): void {
    for (const event of events) {
      const at = (event.position ?? this.end) - this.#base
      if (at >= 0 && at < this.#events.length) this.#events[at] = event
    }
  }

  close(): void {
    this.ended = true
    this.wake()
  }

  /** What stands from `place` on; undefined when that is no longer in memory. */
  from(place: number): readonly TurnEvent[] | undefined {
    if (place < this.#base) return undefined
    return place === this.#base ? this.#events.slice() : this.#events.slice(place - this.#base)
  }

  /** Resolves at the next change. */
  change(): Promise<void> {
    this.#changed ??= Promise.withResolvers<void>()
    return this.#changed.promise
  }

  /** Has all readers look again. */
  wake(): void {
    this.#changed?.resolve()
    this.#changed = undefined
  }

  #trim(): void {
    if (this.#events.length <= 2 * turnLimits.eventsInMemory) return
    const acknowledged = this.#events.findIndex((event) => event.position === undefined)
    const spare = Math.min(turnLimits.eventsInMemory, acknowledged < 0 ? this.#events.length : acknowledged)
    this.#events = this.#events.slice(spare)
    this.#base += spare
  }
}
