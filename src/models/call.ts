import { type Clock, waitAtMost } from '#platform/clock.ts'
import type { FailureReason } from './answer.ts'
import { ChunkReader, type Piece } from './chunk-reader.ts'
import type { ByteHandler, Flight, Provider, ProviderCall, Refusal } from './providers/provider.ts'

export interface CallTimers {
  connectTimeoutMs: number
  firstTokenTimeoutMs: number
  stallTimeoutMs: number
}

export type CallEnd =
  | { kind: 'finished' }
  | { kind: 'failed'; reason: FailureReason; cause?: unknown }
  | { kind: 'refused'; refusal: Refusal }
  | { kind: 'cancelled' }

export interface CallListener {
  /** Headers with status 200. */
  started(): void
  /** The first content, so long after the call was opened. */
  speaks(firstTokenMs: number): void
  piece(piece: Piece): void
  /** Exactly once; nothing follows. */
  ended(end: CallEnd): void
}

/** How long what may follow the finish reason (usage, `[DONE]`, the end of the body) is waited for. */
const CLOSING_MS = 1000

/**
 * One call of one model: the provider's bytes through the reader, watched by one timer that looks at time stamps, so that
 * a read costs no timer of its own.
 *
 *   connecting  → waiting: headers. Patience: connect, or first token if that is shorter.
 *   waiting     → speaking: first content. Patience: first token, from the opening on.
 *   speaking    → closing: finish reason. Patience: stall, from the last content on; bytes without content do not count.
 *   closing     → over: `[DONE]`, the end, or a second. However it ends, the answer is complete.
 *   over        the listener has heard of the end. A body that goes on after it is cut off.
 *
 * While we hold the provider back ourselves, patience does not run.
 */
export class ModelCall implements ByteHandler, Flight {
  readonly reader: ChunkReader
  readonly #clock: Clock
  readonly #timers: CallTimers
  readonly #listener: CallListener
  readonly #openedAt: number
  #flight: Flight | undefined
  #phase: 'connecting' | 'waiting' | 'speaking' | 'closing' | 'over' = 'connecting'
  /** Since when patience runs. */
  #since: number
  #pausedAt: number | undefined
  #alarmAt = Number.POSITIVE_INFINITY
  #cancelAlarm: (() => void) | undefined

  constructor(mode: 'text' | 'relay', timers: CallTimers, clock: Clock, listener: CallListener) {
    this.reader = new ChunkReader(mode)
    this.#clock = clock
    this.#timers = timers
    this.#listener = listener
    this.#openedAt = clock.monotonic()
    this.#since = this.#openedAt
  }

  open(provider: Provider, call: ProviderCall): void {
    this.#flight = provider.open(call, this)
    if (this.#pausedAt !== undefined) this.#flight.pause()
    this.#watch()
  }

  get durationMs(): number {
    return this.#clock.monotonic() - this.#openedAt
  }

  started(): void {
    if (this.#phase !== 'connecting') return
    this.#phase = 'waiting'
    this.#listener.started()
  }

  data(chunk: Buffer): void {
    if (this.#phase === 'over') return
    const piece = this.reader.push(chunk)
    if (piece.visible) this.#content()
    this.#listener.piece(piece)
    this.#look()
  }

  end(): void {
    this.#gone()
    if (this.#phase === 'over') return
    const piece = this.reader.end()
    if (piece.visible) this.#content()
    this.#listener.piece(piece)
    this.#look()
    this.#fail('no_finish')
  }

  refused(refusal: Refusal): void {
    this.#gone()
    this.#settle({ kind: 'refused', refusal })
  }

  failed(reason: FailureReason, cause?: unknown): void {
    this.#gone()
    this.#fail(reason, cause)
  }

  abort(): void {
    if (this.#phase === 'over') return
    this.#hangUp()
    this.#settle({ kind: 'cancelled' })
  }

  pause(): void {
    if (this.#pausedAt !== undefined) return
    this.#pausedAt = this.#clock.monotonic()
    this.#flight?.pause()
  }

  resume(): void {
    if (this.#pausedAt === undefined) return
    this.#since += this.#clock.monotonic() - this.#pausedAt
    this.#pausedAt = undefined
    this.#flight?.resume()
    this.#watch()
  }

  #content(): void {
    const now = this.#clock.monotonic()
    this.#since = now
    if (this.#phase === 'speaking' || this.#phase === 'closing') return
    this.#phase = 'speaking'
    this.#watch()
    this.#listener.speaks(now - this.#openedAt)
  }

  /** What the reader makes of the bytes so far. */
  #look(): void {
    if (this.#phase === 'over') return
    const { fault, done, finishReason } = this.reader
    if (fault) {
      this.#hangUp()
      this.#fail(fault.reason, fault.message)
    } else if (done) {
      this.#fail('no_finish')
      // The end of the body is still due; until it comes the connection cannot be used again.
      this.resume()
      this.#since = this.#clock.monotonic()
      this.#watch()
    } else if (finishReason !== undefined && this.#phase !== 'closing') {
      this.#phase = 'closing'
      this.#since = this.#clock.monotonic()
      this.#watch()
    }
  }

  /** After the finish reason nothing can fail any more. */
  #fail(reason: FailureReason, cause?: unknown): void {
    this.#settle(this.reader.finishReason !== undefined ? { kind: 'finished' } : { kind: 'failed', reason, cause })
  }

  #settle(end: CallEnd): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    this.#listener.ended(end)
  }

  #hangUp(): void {
    this.#flight?.abort()
    this.#gone()
  }

  /** The provider will not be heard of again. */
  #gone(): void {
    this.#flight = undefined
    this.#cancelAlarm?.()
    this.#cancelAlarm = undefined
  }

  #patienceMs(): number {
    switch (this.#phase) {
      case 'connecting':
        return Math.min(this.#timers.connectTimeoutMs, this.#timers.firstTokenTimeoutMs)
      case 'waiting':
        return this.#timers.firstTokenTimeoutMs
      case 'speaking':
        return this.#timers.stallTimeoutMs
      default:
        return CLOSING_MS
    }
  }

  /** Sees to it that the alarm goes off no later than patience ends; earlier is well, it looks again then. */
  #watch(): void {
    if (!this.#flight) return
    const endsAt = this.#since + this.#patienceMs()
    if (this.#cancelAlarm && this.#alarmAt <= endsAt) return
    this.#cancelAlarm?.()
    this.#alarmAt = endsAt
    this.#cancelAlarm = waitAtMost(this.#clock, Math.max(0, endsAt - this.#clock.monotonic()), () => this.#alarm())
  }

  #alarm(): void {
    this.#cancelAlarm = undefined
    if (this.#pausedAt !== undefined) return // `resume` watches again.
    if (this.#clock.monotonic() < this.#since + this.#patienceMs()) return this.#watch()
    const phase = this.#phase
    this.#hangUp()
    const { connectTimeoutMs, firstTokenTimeoutMs } = this.#timers
    if (phase === 'connecting' && connectTimeoutMs <= firstTokenTimeoutMs) this.#fail('connect_timeout')
    else if (phase === 'connecting' || phase === 'waiting') this.#fail('first_token_timeout')
    else this.#fail('stalled')
  }
}
