import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { ParleyError } from '#errors.ts'
import type { EventStream, EventStreamOptions } from './event-stream.ts'
import type { EventStreams, StreamMember } from './event-streams.ts'
import { credentialEnded, onceClosed } from './request-context.ts'

const HEARTBEAT = ': keep-alive\n\n'
/** Characters or bytes gathered within one tick, above which the writer is asked to wait. */
const GATHERED_MAX = 65_536
/** Bytes up to which it is cheaper to copy the parts of a chunk into one buffer than to have them written one by one. */
const COPY_MAX = 1024

/**
 * Writes to the socket itself, in chunked framing of its own, because Node's response makes several writes of one chunk.
 * The response still sends the head and the end, and so keeps its part in keep-alive and pipelining.
 */
export class ResponseStream implements EventStream, StreamMember {
  readonly #streams: EventStreams
  readonly #response: ServerResponse
  readonly #farewell: EventStreamOptions['farewell']
  readonly #leave: () => void
  /** When the reader's credential ends. */
  readonly #until: number | null
  readonly #stopHearing: (() => void) | undefined
  /** Undefined while a pipelined response waits for those before it. */
  #socket: Socket | undefined
  /** Gathered in this tick: text, until bytes come in between. */
  #text = ''
  #parts: Buffer[] | undefined
  #gathered = 0
  #flushing = false
  #headSent = false
  #ended = false
  #over = false
  #wroteAtMs: number
  #blockedAtMs: number | undefined
  #cutOff = false
  /** Made for whoever asks, and the reason kept for whoever asks later: on `/v1` nobody does. */
  #closed: AbortController | undefined
  #closedBy: Error | undefined
  #waiting: PromiseWithResolvers<void> | undefined

  constructor(reply: FastifyReply, farewell: EventStreamOptions['farewell']) {
    this.#streams = reply.server.eventStreams
    this.#response = reply.raw
    this.#farewell = farewell
    this.#ended = reply.request.method === 'HEAD'
    this.#until = reply.request.principalUntil
    this.#leave = this.#streams.join(this)
    this.#wroteAtMs = this.#streams.nowMs
    if (reply.raw.socket) this.#start(reply.raw.socket)
    else reply.raw.once('socket', (socket) => this.#start(socket))
    onceClosed(reply, () => this.#finish())
    this.#stopHearing = reply.request.onPrincipalEnded?.(() => this.#dismiss(credentialEnded()))
  }

  get closed(): AbortSignal {
    if (!this.#closed) {
      this.#closed = new AbortController()
      if (this.#closedBy) this.#closed.abort(this.#closedBy)
    }
    return this.#closed.signal
  }

  get needsDrain(): boolean {
    return !this.#over && !this.#ended && (this.#gathered > GATHERED_MAX || this.#socket?.writableNeedDrain === true)
  }

  write(chunk: string | Buffer): void {
    if (this.#ended || this.#over) return
    this.#gathered += chunk.length
    if (typeof chunk === 'string') {
      this.#text += chunk
    } else {
      this.#parts ??= []
      this.#moveTextTo(this.#parts)
      this.#parts.push(chunk)
    }
    this.#flushSoon()
  }

  drained(): Promise<void> {
    if (!this.needsDrain) return Promise.resolve()
    if (!this.#waiting) {
      this.#waiting = Promise.withResolvers()
      this.#socket?.on('drain', this.#onDrain)
    }
    return this.#waiting.promise
  }

  end(): void {
    if (this.#ended || this.#over) return
    this.#ended = true
    this.#flushSoon()
  }

  flush(): void {
    this.#flushing = false
    const socket = this.#socket
    if (!socket || this.#over) return
    // The head goes with the first chunk, the end with the last.
    const joined = !this.#headSent || this.#ended
    if (joined) socket.cork()
    if (!this.#headSent) this.#response.flushHeaders()
    this.#headSent = true
    if (this.#gathered > 0) this.#send(socket)
    if (this.#ended) this.#response.end()
    if (joined) socket.uncork()
    if (!this.needsDrain) this.#onDrain()
  }

  visit(nowMs: number): void {
    const { heartbeatMs, slowConsumerMs } = this.#streams.limits
    if (!this.#socket) return
    if (this.#cutOff) return void this.#socket.destroy()
    if (this.#streams.hasCome(this.#until)) return this.#dismiss(credentialExpired())
    if (!this.#socket.writableNeedDrain) this.#blockedAtMs = undefined
    if (this.#blockedAtMs !== undefined) {
      if (nowMs - this.#blockedAtMs < slowConsumerMs) return
      // Its last words stay readable until the next visit.
      this.#cutOff = true
      this.#dismiss(new ParleyError('slow_consumer'))
    } else if (nowMs - this.#wroteAtMs >= heartbeatMs - this.#streams.periodMs) {
      this.write(HEARTBEAT)
    }
  }

  dismiss(): void {
    this.#dismiss(new ParleyError('shutting_down'))
  }

  #dismiss(reason: ParleyError): void {
    if (this.#ended || this.#over) return
    this.write(this.#farewell(reason))
    this.end()
    this.#close(reason)
    this.#onDrain()
  }

  #close(reason: Error): void {
    this.#closedBy ??= reason
    this.#closed?.abort(reason)
  }

  #start(socket: Socket): void {
    this.#socket = socket
    if (this.#waiting) socket.on('drain', this.#onDrain)
    this.#flushSoon()
  }

  #flushSoon(): void {
    if (this.#flushing || !this.#socket) return
    this.#flushing = true
    this.#streams.flushSoon(this)
  }

  #send(socket: Socket): void {
    if (!socket.writable) return
    if (!socket.writableNeedDrain) this.#blockedAtMs = undefined
    const flowing = this.#parts ? this.#sendBytes(socket, this.#parts) : this.#sendText(socket, this.#text)
    if (!flowing) this.#blockedAtMs ??= this.#streams.nowMs
    this.#wroteAtMs = this.#streams.nowMs
    this.#text = ''
    this.#parts = undefined
    this.#gathered = 0
  }

  #sendText(socket: Socket, text: string): boolean {
    const bytes = Buffer.byteLength(text)
    // As many bytes as characters: all of it is ASCII, which Latin-1 writes without transcoding.
    const encoding = bytes === text.length ? 'latin1' : 'utf8'
    return socket.write(this.#response.chunkedEncoding ? `${bytes.toString(16)}\r\n${text}\r\n` : text, encoding)
  }

  #sendBytes(socket: Socket, parts: Buffer[]): boolean {
    this.#moveTextTo(parts)
    if (!this.#response.chunkedEncoding) return socket.write(Buffer.concat(parts))
    let length = 0
    for (const part of parts) length += part.length
    const size = `${length.toString(16)}\r\n`
    return length > COPY_MAX ? this.#sendParts(socket, size, parts) : this.#sendCopy(socket, size, parts, length)
  }

  /** One write of several buffers. */
  #sendParts(socket: Socket, size: string, parts: readonly Buffer[]): boolean {
    socket.cork()
    socket.write(size, 'latin1')
    for (const part of parts) socket.write(part)
    const flowing = socket.write('\r\n', 'latin1')
    socket.uncork()
    return flowing
  }

  #sendCopy(socket: Socket, size: string, parts: readonly Buffer[], length: number): boolean {
    const frame = Buffer.allocUnsafe(size.length + length + 2)
    let at = frame.write(size, 'latin1')
    for (const part of parts) at += part.copy(frame, at)
    frame.write('\r\n', at, 'latin1')
    return socket.write(frame)
  }

  #moveTextTo(parts: Buffer[]): void {
    if (this.#text !== '') parts.push(Buffer.from(this.#text))
    this.#text = ''
  }

  readonly #onDrain = (): void => {
    if (!this.#waiting || this.needsDrain) return
    this.#socket?.off('drain', this.#onDrain)
    this.#waiting.resolve()
    this.#waiting = undefined
  }

  #finish(): void {
    this.#over = true
    this.#leave()
    this.#stopHearing?.()
    this.#onDrain()
    if (!this.#ended) this.#close(new Error('The reader has left.'))
  }
}

function credentialExpired(): ParleyError {
  return new ParleyError('unauthenticated', { message: 'The credential has expired; resume with a new one.' })
}
