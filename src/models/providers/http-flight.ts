import type { Dispatcher } from 'undici'
import type { Clock } from '#platform/clock.ts'
import type { ByteHandler, Flight, Refusal } from './provider.ts'
import { retryAfterMs } from './retry-after.ts'

const MAX_REFUSAL_BYTES = 64 * 1024

class Abandoned extends Error {
  override readonly name = 'Abandoned'
}

/** One request over HTTP, between undici's callbacks and ours; after its end or `abort()` the handler hears nothing. */
export class HttpFlight implements Flight, Dispatcher.DispatchHandler {
  readonly #handler: ByteHandler
  readonly #clock: Clock
  readonly #onUnauthorized: () => void
  #controller: Dispatcher.DispatchController | undefined
  #refusal: Omit<Refusal, 'body'> | undefined
  #refusalBody: Buffer[] = []
  #refusalBytes = 0
  #over = false
  #paused = false

  constructor(handler: ByteHandler, clock: Clock, onUnauthorized: () => void) {
    this.#handler = handler
    this.#clock = clock
    this.#onUnauthorized = onUnauthorized
  }

  get over(): boolean {
    return this.#over
  }

  abort(): void {
    this.#over = true
    this.#controller?.abort(new Abandoned('The call was abandoned.'))
  }

  pause(): void {
    this.#paused = true
    this.#controller?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#controller?.resume()
  }

  /** Without a connection: the address, or what authenticates us, is out of reach or not to be used. */
  fail(reason: 'connect_failed' | 'misconfigured', cause: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#handler.failed(reason, cause)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) controller.abort(new Abandoned('The call was abandoned before it began.'))
    else if (this.#paused) controller.pause()
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#over || status < 200) return
    if (status === 401) this.#onUnauthorized()
    if (status === 200) this.#handler.started()
    else this.#refusal = { status, retryAfterMs: retryAfterMs(headers, this.#clock.now()) }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return
    if (!this.#refusal) return this.#handler.data(chunk)
    this.#refusalBody.push(chunk)
    this.#refusalBytes += chunk.length
    if (this.#refusalBytes < MAX_REFUSAL_BYTES) return
    const controller = this.#controller
    this.#refuse(this.#refusal)
    controller?.abort(new Abandoned('The error body is too long.'))
  }

  onResponseEnd(): void {
    if (this.#over) return
    if (this.#refusal) return this.#refuse(this.#refusal)
    this.#over = true
    this.#handler.end()
  }

  /** Before the request was on a connection nothing was reached; later, what had begun was cut off. */
  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return
    if (this.#refusal) return this.#refuse(this.#refusal)
    // undici may refuse a request while it is being handed over.
    if (!this.#controller) return queueMicrotask(() => this.fail('connect_failed', error))
    this.#over = true
    this.#handler.failed('cut_off', error)
  }

  #refuse(refusal: Omit<Refusal, 'body'>): void {
    this.#over = true
    const body = Buffer.concat(this.#refusalBody).subarray(0, MAX_REFUSAL_BYTES).toString()
    this.#handler.refused({ ...refusal, body })
  }
}
