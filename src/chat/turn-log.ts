import type { Seal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import { type Clock, delay } from '#platform/clock.ts'
import { atEndOfTick } from '#platform/end-of-tick.ts'
import type { Arg, Key, Kv } from '#platform/kv/kv.ts'
import { encodeEvents } from './event-codec.ts'
import { turnLifetimes, turnLimits } from './limits.ts'
import { LiveTurn } from './live-turn.ts'
import { appendEvents } from './store/append.ts'
import { loadTurn } from './store/commands.ts'
import { type CommitResult, commitTurn } from './store/commit.ts'
import { renewLease } from './store/lease.ts'
import { placeOf, type TurnKeys } from './store/turn-keys.ts'
import type { TurnEvent } from './turn-events.ts'

/**
 * Why a producer may no longer speak: another holds the turn, the store has lost it, the log was out of reach for nearly a lease,
 * or writing it failed in a way that trying again does not mend.
 */
export type Loss = 'fenced' | 'gone' | 'out-of-reach' | 'broken'

export interface TurnLogOptions {
  kv: Kv
  clock: Clock
  keys: TurnKeys
  seal: Seal
  fence: number
  leaseMs: number
  /** When the lease was asked for, monotonic ms. */
  leasedAtMs: number
  /** What the log is known to end with, for readers to find in memory. */
  known: readonly TurnEvent[]
  /** Position of the first event to come. */
  next: number
  onCancel(): void
  onLoss(loss: Loss, cause?: unknown): void
}

/** What a commit writes beside the events: see `commitTurn`. */
export interface Ending {
  outcome: Buffer
  /** Keys and arguments for the conversation; none for a turn that stands alone. */
  conversation: { keys: readonly Key[]; args: readonly Arg[] }
}

/** Between two tries while the log is out of reach. */
const RETRY_MS = 200
const RETRY_MAX_MS = 2000
/** An append unanswered for this long is taken for one that fails. */
const AWAY_AFTER_MS = 1000

/**
 * The producer's end of a turn log. Events are added without waiting; one append is under way at a time and takes along
 * what came meanwhile, so a slow log makes larger appends, not a longer queue. Readers see an event when its append is
 * acknowledged.
 *
 * within reach ──append fails or hangs──▸ out of reach: events are shown without position, appends are tried again
 * out of reach ──append acknowledged──▸ within reach: the same events have their positions now
 * out of reach ──nearly a lease since the last acknowledgement──▸ lost
 * either ──append refused (another holds the fence, or there is no such turn any more)──▸ lost
 */
export class TurnLog {
  readonly live: LiveTurn
  readonly #options: TurnLogOptions
  /** Not acknowledged, oldest first. */
  #open: TurnEvent[] = []
  #openChars = 0
  /** How many of them readers have seen already, without a position. */
  #shown = 0
  #appending: Promise<void> | undefined
  #sentAtMs = 0
  #leasedAtMs: number
  #scheduled = false
  #closing = false
  #away = false
  #loss: Loss | undefined
  #waiters: PromiseWithResolvers<void>[] = []
  #flow: Flow | undefined
  #paused = false

  constructor(options: TurnLogOptions) {
    this.#options = options
    this.#leasedAtMs = options.leasedAtMs
    this.live = new LiveTurn(options.next - options.known.length)
    this.live.push(options.known)
  }

  get isLost(): boolean {
    return this.#loss !== undefined
  }

  /** The store has lost the turn. */
  get isGone(): boolean {
    return this.#loss === 'gone'
  }

  /** Once the log is lost nobody hears of the event; where it can still be ended, its end takes the event along. */
  add(event: TurnEvent): void {
    if (isFinal(this.#loss)) return
    this.#open.push(event)
    this.#openChars += event.data.length
    if (this.#loss) return
    if (this.#away) this.#showOpen()
    if (this.#openChars > turnLimits.unacknowledgedChars) this.#hold(true)
    this.#schedule()
  }

  /** Takes hold of the model's bytes, which wait while too much is unacknowledged. */
  control(flow: Flow): void {
    this.#flow = flow
    if (this.#paused) flow.pause()
  }

  /** Resolves once all that was added is acknowledged; rejects with turn_lost when it never will be. */
  flushed(): Promise<void> {
    if (this.#loss) return Promise.reject(new ParleyError('turn_lost'))
    if (this.#open.length === 0) return Promise.resolve()
    const waiter = Promise.withResolvers<void>()
    this.#waiters.push(waiter)
    return waiter.promise
  }

  /** Called every so often by whoever keeps the time for all turns of this replica. */
  tick(): void {
    if (this.#loss) return
    const now = this.#options.clock.monotonic()
    if (this.#appending && now - this.#sentAtMs > AWAY_AFTER_MS) this.#goAway()
    if (now > this.#safeUntilMs) return this.#lose('out-of-reach')
    if (this.#closing || this.#appending) return
    if (this.#open.length > 0) this.#schedule()
    else if (now - this.#leasedAtMs > this.#options.leaseMs / 3) this.#appending = this.#renew(now)
  }

  /**
   * Ends the turn with `terminal`: tries until it is acknowledged or the turn is somebody else's. When the log is lost on the
   * way the end has to be another one: the caller comes again with that, and then it is tried for as long as it takes.
   * `build` is asked anew for each try, since what it seals is bound to places that may have moved. Rejects where trying again does
   * not mend it: then the end has to be another one, too.
   */
  async commit(terminal: TurnEvent, build: () => Promise<Ending>, signal: AbortSignal): Promise<CommitEnd> {
    this.#closing = true
    await this.#appending
    const lossAtStart = this.#loss
    this.#open.push(terminal)
    for (let retryMs = RETRY_MS; this.#loss === lossAtStart && !isFinal(this.#loss); retryMs *= 1.5) {
      try {
        const result = await this.#tryCommit(await build())
        if (result === 'refused') break
        if (result === 'gone') return this.#endGone(terminal)
        if (result === 'committed') {
          this.#acknowledged(this.#open.length)
          this.live.close()
          return 'committed'
        }
        if (result === 'gap' && !(await this.#reconcileWithStore())) break
      } catch (error) {
        if (!isUnavailable(error)) {
          this.#open = this.#open.filter((event) => event !== terminal)
          throw error
        }
        await delay(this.#options.clock, Math.min(retryMs, RETRY_MAX_MS), signal)
      }
    }
    this.#open = this.#open.filter((event) => event !== terminal)
    if (this.#loss !== lossAtStart && !isFinal(this.#loss)) return 'lost'
    this.live.close()
    return 'refused'
  }

  /** Nothing of it can be written any more; readers who have not been told otherwise are still to hear of that. */
  #endGone(terminal: TurnEvent): CommitEnd {
    this.#open = this.#open.filter((event) => event !== terminal)
    if (this.#loss) return 'refused'
    this.#loss = 'gone'
    return 'lost'
  }

  /** The last word to readers of a turn whose log is lost. */
  showLast(event: TurnEvent): void {
    this.live.push([{ ...event, position: undefined }])
    this.live.close()
  }

  /** Stops without an end, once all is acknowledged: another replica goes on. */
  async handOver(): Promise<void> {
    await this.flushed()
    this.#closing = true
    await this.#appending
    this.live.close()
  }

  /** The store's lease runs from when the request reached it, so counting from its sending is the safe side. */
  get #safeUntilMs(): number {
    return this.#leasedAtMs + this.#options.leaseMs * 0.9
  }

  /** Once the present work is done: events that came together are appended together, and with the end, if that came too. */
  #schedule(): void {
    if (this.#scheduled || this.#appending || this.#closing) return
    this.#scheduled = true
    atEndOfTick(this.#appendIfDue)
  }

  readonly #appendIfDue = (): void => {
    this.#scheduled = false
    if (!this.#appending && !this.#closing && !this.#loss && this.#open.length > 0) this.#appending = this.#append()
  }

  async #append(): Promise<void> {
    const { kv, clock, keys, seal, fence, leaseMs } = this.#options
    const count = this.#open.length
    const sentAtMs = clock.monotonic()
    this.#sentAtMs = sentAtMs
    try {
      const [first, last] = span(this.#open)
      const body = seal.seal(encodeEvents(this.#open), placeOf(keys.log, last))
      const result = await kv.run(appendEvents, [keys.turn, keys.log], [fence, first, last, body, leaseMs])
      if (result.kind === 'refused') return this.#lose('fenced')
      if (result.kind === 'gone') return this.#lose('gone')
      if (result.kind === 'gap') {
        if (!this.#reconcile(result.top)) return this.#lose('broken')
      } else {
        this.#leasedAtMs = sentAtMs
        this.#acknowledged(count)
        if (result.cancelled) this.#options.onCancel()
      }
    } catch (error) {
      if (!isUnavailable(error)) return this.#lose('broken', error)
      this.#goAway()
      return
    } finally {
      this.#appending = undefined
    }
    if (this.#open.length > 0) this.#schedule()
  }

  async #renew(now: number): Promise<void> {
    const { kv, keys, fence, leaseMs } = this.#options
    this.#sentAtMs = now
    try {
      const result = await kv.run(renewLease, [keys.turn], [fence, leaseMs])
      if (result.kind === 'refused') return this.#lose('fenced')
      if (result.kind === 'gone') return this.#lose('gone')
      this.#leasedAtMs = now
      if (result.cancelled) this.#options.onCancel()
    } catch (error) {
      if (!isUnavailable(error)) return this.#lose('broken', error)
      this.#away = true
    } finally {
      this.#appending = undefined
    }
    if (this.#open.length > 0) this.#schedule()
  }

  #tryCommit({ outcome, conversation }: Ending): Promise<CommitResult> {
    const { kv, keys, seal, fence } = this.#options
    const [first, last] = span(this.#open)
    const body = seal.seal(encodeEvents(this.#open), placeOf(keys.log, last))
    const { logMs, turnMs } = turnLifetimes
    return kv.run(
      commitTurn,
      [keys.turn, keys.log, ...conversation.keys],
      [fence, first, last, body, outcome, logMs, turnMs, ...conversation.args],
    )
  }

  async #reconcileWithStore(): Promise<boolean> {
    const { kv, keys } = this.#options
    const record = await kv.run(loadTurn, [keys.turn], [])
    return record !== undefined && this.#reconcile(record.top)
  }

  /**
   * The log ends elsewhere than was thought. Either an append reached it whose answer was lost: then a part of what is open
   * is acknowledged. Or the store forgot the end of the log (it failed over to a copy that lagged behind): then what is
   * still in memory is put back in front of what is open. False when that is not all of it.
   */
  #reconcile(top: number): boolean {
    const [first, last] = span(this.#open)
    if (top >= last) return false
    if (top >= first) {
      this.#acknowledged(top - first + 1)
      return true
    }
    const behind = this.live.from(top + 1)
    if (!behind) return false
    const forgotten = behind.filter((event) => event.position !== undefined)
    this.#open = [...forgotten, ...this.#open]
    this.#shown += forgotten.length
    for (const event of forgotten) this.#openChars += event.data.length
    return true
  }

  #acknowledged(count: number): void {
    const events = this.#open
    this.#open = events.splice(count)
    const shown = Math.min(this.#shown, count)
    this.#shown -= shown
    this.#away = false
    if (shown > 0) this.live.acknowledge(events.slice(0, shown))
    // Readers who were told that the turn is lost have heard its last word.
    if (shown < count && !this.live.ended) this.live.push(shown > 0 ? events.slice(shown) : events)
    for (const event of events) this.#openChars -= event.data.length
    if (this.#openChars <= turnLimits.unacknowledgedChars) this.#hold(false)
    if (this.#open.length > 0) return
    for (const waiter of this.#waiters.splice(0)) waiter.resolve()
  }

  #goAway(): void {
    this.#away = true
    this.#showOpen()
  }

  /** Only while the lease surely holds: a process that was suspended must not speak beside its successor. */
  #showOpen(): void {
    if (this.#options.clock.monotonic() > this.#safeUntilMs) return this.#lose('out-of-reach')
    const unseen = this.#open.slice(this.#shown)
    this.#shown = this.#open.length
    this.live.push(unseen.map((event) => ({ ...event, position: undefined })))
  }

  #lose(loss: Loss, cause?: unknown): void {
    if (this.#loss) return
    this.#loss = loss
    if (loss === 'fenced' || loss === 'broken') this.live.close()
    for (const waiter of this.#waiters.splice(0)) waiter.reject(new ParleyError('turn_lost'))
    this.#options.onLoss(loss, cause)
  }

  #hold(hold: boolean): void {
    if (hold === this.#paused) return
    this.#paused = hold
    if (hold) this.#flow?.pause()
    else this.#flow?.resume()
  }
}

export type CommitEnd = 'committed' | 'refused' | 'lost'

interface Flow {
  pause(): void
  resume(): void
}

function span(events: readonly TurnEvent[]): [first: number, last: number] {
  return [events[0]?.position ?? 0, events.at(-1)?.position ?? 0]
}

/** Nothing more can be written. */
function isFinal(loss: Loss | undefined): boolean {
  return loss !== undefined && loss !== 'out-of-reach'
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ParleyError && error.code === 'state_unavailable'
}
