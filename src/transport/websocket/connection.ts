import type { Socket } from 'node:net'
import type { WebSocket } from '@fastify/websocket'
import type { EventStreams, StreamMember } from '../event-streams.ts'

/** Why we close, as the other side is told. */
export type Farewell = keyof typeof CLOSE_CODES

const CLOSE_CODES = {
  'text frames only': 1003,
  'too many calls': 1008,
  'credential expired': 1008,
  'credential ended': 1008,
  'shutting down': 1012,
  'slow consumer': 1013,
} as const

/**
 * One open WebSocket, whatever is spoken on it: all that is sent in one tick leaves in one write, peers that are gone are
 * noticed, and those that do not read are cut off.
 *
 * open ──peer closes or is gone, or our last word──▸ closed. Nothing is sent or waited for after our last word.
 */
export class Connection implements StreamMember {
  /** Aborts with our last word, or when the peer has left. */
  readonly closed: AbortSignal
  readonly #closed = new AbortController()
  readonly #socket: WebSocket
  readonly #tcp: Socket
  readonly #streams: EventStreams
  readonly #slowConsumerMs: number
  readonly #until: number | null
  #corked = false
  /** The peer has been heard since the last ping. */
  #heard = true
  #pingedAtMs: number
  #blockedAtMs: number | undefined
  #waiting: PromiseWithResolvers<void> | undefined

  /** `until`: when the caller's credential ends, ms since the epoch. */
  constructor(socket: WebSocket, tcp: Socket, streams: EventStreams, slowConsumerMs: number, until: number | null) {
    this.closed = this.#closed.signal
    this.#socket = socket
    this.#tcp = tcp
    this.#streams = streams
    this.#slowConsumerMs = slowConsumerMs
    this.#until = until
    const leave = streams.join(this)
    this.#pingedAtMs = streams.nowMs
    socket.on('message', () => this.#hear())
    socket.on('pong', () => this.#hear())
    socket.once('close', () => {
      leave()
      this.#end()
    })
    tcp.on('drain', () => this.#onDrain())
  }

  /** The peer takes less than is sent: await `drained` before sending more of what can wait. */
  get needsDrain(): boolean {
    return !this.closed.aborted && this.#tcp.writableNeedDrain
  }

  /** Resolves when there is room again, and also when the connection is over. */
  drained(): Promise<void> {
    if (!this.needsDrain) return Promise.resolve()
    this.#waiting ??= Promise.withResolvers()
    return this.#waiting.promise
  }

  /** A text message. Ignored once closed. */
  send(text: string): void {
    if (this.closed.aborted) return
    if (!this.#corked) {
      this.#corked = true
      this.#tcp.cork()
      this.#streams.flushSoon(this)
    }
    this.#socket.send(text)
  }

  close(reason: Farewell): void {
    if (this.closed.aborted) return
    this.#end()
    this.#socket.close(CLOSE_CODES[reason], reason)
  }

  flush(): void {
    this.#corked = false
    this.#tcp.uncork()
    if (this.#tcp.writableNeedDrain) this.#blockedAtMs ??= this.#streams.nowMs
  }

  visit(nowMs: number): void {
    if (this.#streams.hasCome(this.#until)) return this.close('credential expired')
    if (this.#blockedAtMs !== undefined && nowMs - this.#blockedAtMs > this.#slowConsumerMs) {
      return this.close('slow consumer')
    }
    const { limits, periodMs } = this.#streams
    if (nowMs - this.#pingedAtMs < limits.heartbeatMs - periodMs) return
    if (!this.#heard) return this.#socket.terminate()
    this.#heard = false
    this.#pingedAtMs = nowMs
    this.#socket.ping()
  }

  dismiss(): void {
    this.close('shutting down')
  }

  #hear(): void {
    this.#heard = true
  }

  #onDrain(): void {
    this.#blockedAtMs = undefined
    this.#waiting?.resolve()
    this.#waiting = undefined
  }

  #end(): void {
    this.#closed.abort()
    this.#onDrain()
  }
}
