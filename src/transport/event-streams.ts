import type { Clock } from '#platform/clock.ts'
import { Roster } from '#platform/roster.ts'
import type { TransportLimits } from './limits.ts'

/** What the owner of all event streams needs of one. */
export interface StreamMember {
  /** Writes what has gathered, at once. */
  flush(): void
  /** Called every few seconds with the coarse time. */
  visit(nowMs: number): void
  /** The server closes. */
  dismiss(): void
}

/**
 * All open event streams of a server. They share one flush per tick and one timer: streams sit in slots, one slot is
 * visited every `tickMs`, so the work of many silent streams is spread evenly.
 */
export class EventStreams {
  /** Monotonic ms, refreshed with every tick while streams are open: for what needs no better, free of charge. */
  nowMs = 0
  /** Between two visits of one stream. */
  readonly periodMs: number
  readonly limits: Pick<TransportLimits, 'heartbeatMs' | 'slowConsumerMs'>
  readonly #clock: Clock
  readonly #slots: Roster<StreamMember>[] = Array.from({ length: SLOTS }, () => new Roster())
  readonly #tickMs: number
  #open = 0
  #next = 0
  #visiting = 0
  #stopTimer: (() => void) | undefined
  #unflushed: StreamMember[] = []
  #closed = false
  readonly #flushNext = () => process.nextTick(flushAll, this)

  constructor(clock: Clock, limits: Pick<TransportLimits, 'heartbeatMs' | 'slowConsumerMs'>) {
    this.#clock = clock
    this.limits = limits
    this.periodMs = limits.heartbeatMs / 3
    this.#tickMs = this.periodMs / SLOTS
  }

  /** Whether a time, ms since the epoch, has come; null never does. */
  hasCome(at: number | null): boolean {
    return at !== null && this.#clock.now() >= at
  }

  get size(): number {
    return this.#open
  }

  /** Returns how to leave. */
  join(member: StreamMember): () => void {
    this.#open++
    if (!this.#stopTimer) this.#tick()
    const leave = this.#slots[this.#next++ % SLOTS]?.add(member)
    if (this.#closed) queueMicrotask(() => member.dismiss())
    return () => {
      if (!leave?.()) return
      this.#open--
      if (this.#closed) this.#stopIfIdle()
    }
  }

  /**
   * Has the member flushed at the end of this tick, after all promises that what happens in it settles; to be called once
   * per tick. So the end of an answer leaves with its last words.
   */
  flushSoon(member: StreamMember): void {
    if (this.#unflushed.push(member) === 1) void SETTLED.then(this.#flushNext)
  }

  /** Ends all streams, and those yet to come. */
  close(): void {
    this.#closed = true
    this.#stopIfIdle()
    for (const slot of this.#slots) for (const member of slot) member.dismiss()
  }

  flushNow(): void {
    const members = this.#unflushed
    this.#unflushed = []
    for (const member of members) member.flush()
  }

  #stopIfIdle(): void {
    if (this.#open > 0) return
    this.#stopTimer?.()
    this.#stopTimer = undefined
  }

  #tick(): void {
    this.nowMs = this.#clock.monotonic()
    this.#stopTimer = this.#clock.after(this.#tickMs, () => {
      this.#stopTimer = undefined
      // Only here, so that streams that come and go do not stop and start it each time.
      if (this.#open === 0) return
      this.#tick()
      const slot = this.#slots[this.#visiting++ % SLOTS]
      for (const member of slot ?? []) member.visit(this.nowMs)
    })
  }
}

const SLOTS = 20
const SETTLED = Promise.resolve()

function flushAll(streams: EventStreams): void {
  streams.flushNow()
}
