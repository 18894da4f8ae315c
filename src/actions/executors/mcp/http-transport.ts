import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type FetchLike,
  type JSONRPCMessage,
  StreamableHTTPClientTransport,
  type TransportSendOptions,
} from '@modelcontextprotocol/client'
import { PassingError } from '../executor.ts'
import { retryAfterMs } from '../http/retry-after.ts'
import { LOST_CODE, notAllowed } from './failures.ts'
import { limited } from './limited.ts'
import { tooLarge } from './result.ts'

/** What is known of the request whose bytes are on the way. */
interface Exchange {
  method: string
  tooLarge: boolean
}

export interface HttpTransportOptions {
  url: URL
  fetch: typeof fetch
  /** The token of the user whose connection this is, as fresh as it is; undefined where the server needs none. */
  token: () => string | undefined
  maxMessageBytes: number
  now: () => number
}

/**
 * Streamable HTTP as the SDK speaks it, and three things more: a stream that ends without its answer answers that it is lost
 * (the SDK would wait for its own time limit), no message is longer than it may be, and a status that refuses a call of a tool
 * becomes the error that tells how to go on. Redirects stay within the origin.
 */
export class HttpTransport extends StreamableHTTPClientTransport {
  readonly #exchanges: AsyncLocalStorage<Exchange>

  constructor(options: HttpTransportOptions) {
    const exchanges = new AsyncLocalStorage<Exchange>()
    super(options.url, { fetch: guardedFetch(options, exchanges) })
    this.#exchanges = exchanges
  }

  override send(message: JSONRPCMessage | JSONRPCMessage[], options?: TransportSendOptions): Promise<void> {
    if (Array.isArray(message) || !('method' in message) || !('id' in message) || options?.onRequestStreamEnd) {
      return super.send(message, options)
    }
    const { id, method } = message
    const exchange: Exchange = { method, tooLarge: false }
    const onRequestStreamEnd = () => {
      const data = { tooLarge: exchange.tooLarge }
      this.onmessage?.({ jsonrpc: '2.0', id, error: { code: LOST_CODE, message: 'The stream ended.', data } })
    }
    return this.#exchanges.run(exchange, () => super.send(message, { ...options, onRequestStreamEnd }))
  }
}

function guardedFetch(options: HttpTransportOptions, exchanges: AsyncLocalStorage<Exchange>): FetchLike {
  return async (url, init) => {
    const exchange = exchanges.getStore()
    const headers = new Headers(init?.headers)
    const token = options.token()
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    const response = await options.fetch(url, { ...init, headers })
    const refusal = exchange?.method === 'tools/call' ? refusalOf(response, options.now()) : undefined
    if (refusal) {
      await response.body?.cancel()
      throw refusal
    }
    return limited(response, options.maxMessageBytes, () => {
      if (exchange) exchange.tooLarge = true
      return tooLarge()
    })
  }
}

/** Undefined for what the protocol itself has to say: an answer, or an error in the body of a 400. */
function refusalOf({ status, headers }: Response, now: number): Error | undefined {
  if (status === 429 || status === 503) {
    const waitMs = retryAfterMs(headers.get('retry-after') ?? undefined, now)
    const options = { reason: status === 429 ? 'rate_limited' : 'unavailable', untouched: status === 429 }
    return new PassingError(
      'The MCP server is busy.',
      waitMs === undefined ? options : { ...options, retryAfterMs: waitMs },
    )
  }
  if (status >= 500) return new PassingError('The MCP server failed.', { reason: 'server_error' })
  if (status === 401 || status === 403) return notAllowed()
  // A session that the server no longer knows; what was asked in it was not begun.
  if (status === 404) {
    return new PassingError('The MCP server has started afresh.', { reason: 'session_lost', untouched: true })
  }
  return undefined
}
