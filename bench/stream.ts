import { type Agent, type ClientRequest, type IncomingMessage, request as sendRequest } from 'node:http'
import { TOKEN_MARK } from './steering.ts'

export interface StreamRequest {
  url: string
  headers: Record<string, string>
  body: string
  agent: Agent
  /** After every read that brought tokens. */
  onTokens(stream: Stream): void
  onBegin(): void
}

const MARK = TOKEN_MARK.charCodeAt(0)

/** One answer as it arrives: what came, and when. Nothing is parsed while the clock runs. */
export class Stream {
  readonly parts: Buffer[] = []
  /** Ms between two reads that brought tokens. */
  readonly gapsMs: number[] = []
  readonly sentMs = performance.now()
  firstByteMs = Number.NaN
  firstTokenMs = Number.NaN
  lastTokenMs = Number.NaN
  tokens = 0
  response: IncomingMessage | undefined
  /** Why it did not come to its end. */
  fault: string | undefined
  /** Settles, without rejecting, when nothing more comes. */
  readonly over: Promise<void>
  readonly #request: ClientRequest
  readonly #onTokens: StreamRequest['onTokens']
  #left = false

  constructor({ url, headers, body, agent, onTokens, onBegin }: StreamRequest) {
    this.#onTokens = onTokens
    const { promise, resolve } = Promise.withResolvers<void>()
    this.over = promise
    const fail = (error: NodeJS.ErrnoException) => {
      if (!this.#left) this.fault ??= error.code ?? error.message
    }
    const length = String(Buffer.byteLength(body))
    const options = { method: 'POST', agent, headers: { ...headers, 'content-length': length } }
    this.#request = sendRequest(url, options, (response) => {
      this.response = response
      response.once('data', onBegin)
      response.on('data', (bytes: Buffer) => this.#read(bytes))
      response.on('error', fail)
      response.on('close', () => {
        if (response.statusCode !== 200) this.fault = `status ${response.statusCode}`
        else if (!response.complete && !this.#left) this.fault ??= 'cut off'
        resolve()
      })
    })
    this.#request.on('error', (error) => {
      fail(error)
      resolve()
    })
    this.#request.end(body)
  }

  leave(): void {
    this.#left = true
    this.#request.destroy()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }

  #read(bytes: Buffer): void {
    const now = performance.now()
    this.parts.push(bytes)
    if (this.parts.length === 1) this.firstByteMs = now - this.sentMs
    const before = this.tokens
    for (let at = bytes.indexOf(MARK); at >= 0; at = bytes.indexOf(MARK, at + 1)) this.tokens++
    if (this.tokens === before) return
    if (before === 0) this.firstTokenMs = now - this.sentMs
    else this.gapsMs.push(now - this.lastTokenMs)
    this.lastTokenMs = now
    this.#onTokens(this)
  }
}
