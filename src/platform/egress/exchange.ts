import type { Socket } from 'node:net'
import { type buildConnector, Client, type Dispatcher } from 'undici'

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>

export interface Exchange {
  method: string
  url: URL
  headers: Readonly<Record<string, string>>
  body: string | undefined
  maxResponseBytes: number
}

export interface Exchanged {
  status: number
  headers: ResponseHeaders
  /** Undefined when it is longer than the limit; what had come of it is thrown away. */
  body: Buffer | undefined
}

/**
 * One request and its response over a connection that is open, and that is closed afterwards in any case: one that is kept
 * may be closed by the other side in the moment it is used again, and nobody could say whether the request was taken.
 */
export async function exchange(socket: Socket, request: Exchange, signal: AbortSignal): Promise<Exchanged> {
  let handed = false
  const hand = (connected: buildConnector.Callback) => {
    if (handed) connected(new Error('The connection is gone.'), null)
    else connected(null, socket)
    handed = true
  }
  const client = new Client(request.url.origin, {
    // Not at once: a client that is answered while it still asks takes no notice.
    connect: (_options, connected) => queueMicrotask(() => hand(connected)),
    allowH2: false,
    // How long an answer may take is up to the caller's signal.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  try {
    return await new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const abandon = () => reject(signal.reason)
      signal.addEventListener('abort', abandon, { once: true })
      const { method, url, headers, body = null } = request
      const options = { method, path: url.pathname + url.search, headers, body, reset: true }
      client.dispatch(options, new Answer(request.maxResponseBytes, resolve, reject))
    })
  } finally {
    socket.destroy()
    await client.destroy()
  }
}

class Answer implements Dispatcher.DispatchHandler {
  readonly #limit: number
  readonly #resolve: (answer: Exchanged) => void
  readonly #reject: (error: unknown) => void
  #head: Omit<Exchanged, 'body'> = { status: 0, headers: {} }
  #pieces: Buffer[] = []
  #bytes = 0

  constructor(limit: number, resolve: (answer: Exchanged) => void, reject: (error: unknown) => void) {
    this.#limit = limit
    this.#resolve = resolve
    this.#reject = reject
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
    if (status < 200) return
    this.#head = { status, headers }
    if (Number(headers['content-length'] ?? 0) > this.#limit) this.#resolve({ ...this.#head, body: undefined })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes <= this.#limit) {
      this.#pieces.push(chunk)
      return
    }
    this.#pieces = []
    this.#resolve({ ...this.#head, body: undefined })
    controller.abort(new Error('The response is too long.'))
  }

  onResponseEnd(): void {
    this.#resolve({ ...this.#head, body: Buffer.concat(this.#pieces) })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#reject(error)
  }
}
