import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, type Socket } from 'node:net'
import type { Clock } from '#platform/clock.ts'
import { hostOf, hostRules } from '../hosts.ts'
import { addressRules, isLoopback } from './addresses.ts'
import { connectTo } from './connect.ts'
import { type Exchanged, exchange, type ResponseHeaders } from './exchange.ts'
import { interruptible } from './interruptible.ts'
import { type Hop, nextHop } from './redirect.ts'

const MAX_REDIRECTS = 3

/** Calls that config versions ask for leave the process here: to hosts and addresses that the environment permits. */
export interface Egress {
  /** Whether the list of hosts lets this URL through. What its name resolves to is looked at when it is called. */
  permits(url: URL): boolean
  /**
   * One request. A GET follows up to 3 redirects, each held against the same rules; another origin sees no credentials.
   * Every name is resolved once, and the connection goes to the address that was checked. Bodies come as they are:
   * compressed ones are refused. Rejects with `EgressRefused`, `EgressFailure`, `EgressUnusable`, or with what
   * `beforeSend` rejects with.
   */
  request(request: EgressRequest): Promise<EgressResponse>
}

export interface EgressRequest {
  method: string
  url: URL
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>
  body?: string | undefined
  signal: AbortSignal
  /** `connectMs`: name, connection and TLS, per hop. `totalMs`: all of it. */
  timeouts: { connectMs: number; totalMs: number }
  maxResponseBytes: number
  /** Awaited once, with a connection at hand and nothing sent yet; when it rejects, nothing will be. */
  beforeSend?: (() => Promise<void>) | undefined
}

export interface EgressResponse {
  status: number
  /** Names in lower case. */
  headers: ResponseHeaders
  body: Buffer
}

export interface EgressOptions {
  /** Who may be called: `host`, `host:port` or `*.suffix`. An address, or `localhost`, is permitted by standing here. */
  hosts: readonly string[]
  /** Ranges that names may resolve to although they are not public. */
  privateRanges: readonly string[]
  clock: Clock
  /** All addresses of a name. Default: what the system says. */
  lookup?: ((name: string) => Promise<readonly string[]>) | undefined
}

/** The rules forbid it. */
export class EgressRefused extends Error {
  override readonly name = 'EgressRefused'
  readonly reason: 'host' | 'address' | 'redirect'
  readonly host: string
  /** A request had left before: it was a redirect that led astray. */
  readonly sent: boolean

  constructor(reason: EgressRefused['reason'], host: string, sent: boolean) {
    super('The environment does not permit this address.')
    this.reason = reason
    this.host = host
    this.sent = sent
  }
}

/** There is no answer. */
export class EgressFailure extends Error {
  override readonly name = 'EgressFailure'
  /** `interrupted`: the caller's signal; its reason is the cause. */
  readonly reason: 'connect_failed' | 'connect_timeout' | 'cut_off' | 'timeout' | 'interrupted'
  /** Something had left: the target may have acted on it. */
  readonly sent: boolean

  constructor(reason: EgressFailure['reason'], sent: boolean, cause: unknown) {
    super('There is no answer.', { cause })
    this.reason = reason
    this.sent = sent
  }
}

/** There is an answer, but its body cannot be had. */
export class EgressUnusable extends Error {
  override readonly name = 'EgressUnusable'
  readonly reason: 'too_large' | 'compressed'
  readonly status: number
  readonly headers: ResponseHeaders

  constructor(reason: EgressUnusable['reason'], { status, headers }: Omit<Exchanged, 'body'>) {
    super('The body of the answer cannot be had.')
    this.reason = reason
    this.status = status
    this.headers = headers
  }
}

/** Throws when a host or a range cannot be read. */
export function createEgress({ hosts, privateRanges, clock, lookup = resolve }: EgressOptions): Egress {
  const permits = hostRules(hosts)
  const permitsAddress = addressRules(privateRanges)

  /** The addresses of the URL's host, none of which is forbidden: one that is makes the whole answer suspect. */
  const addressesOf = async (url: URL, sent: boolean, signal: AbortSignal): Promise<readonly string[]> => {
    const host = hostOf(url)
    if (isIP(host) !== 0) return []
    const addresses = await interruptible(lookup(host), signal)
    const forbidden = (address: string) => !permitsAddress(address) && !(host === 'localhost' && isLoopback(address))
    if (addresses.some(forbidden)) throw new EgressRefused('address', host, sent)
    return addresses
  }

  const open = async (url: URL, sent: boolean, connectMs: number, stop: AbortSignal): Promise<Socket> => {
    if (!permits(url)) throw new EgressRefused('host', url.hostname, sent)
    const late = new AbortController()
    const cancel = clock.after(connectMs, () => late.abort(new Error('The time to connect is over.')))
    try {
      const signal = AbortSignal.any([stop, late.signal])
      return await connectTo(url, await addressesOf(url, sent, signal), signal)
    } catch (error) {
      if (error instanceof EgressRefused) throw error
      throw new EgressFailure(late.signal.aborted ? 'connect_timeout' : 'connect_failed', sent, error)
    } finally {
      cancel()
    }
  }

  const send = async (socket: Socket, hop: Hop, request: EgressRequest, stop: AbortSignal): Promise<Exchanged> => {
    try {
      return await exchange(socket, { ...request, ...hop, body: request.body }, stop)
    } catch (error) {
      throw new EgressFailure('cut_off', true, error)
    }
  }

  const follow = async (request: EgressRequest, stop: AbortSignal): Promise<EgressResponse> => {
    let hop: Hop = { url: request.url, headers: { ...request.headers, 'accept-encoding': 'identity' } }
    for (let redirects = 0; ; redirects++) {
      const sent = redirects > 0
      const socket = await open(hop.url, sent, request.timeouts.connectMs, stop)
      if (!sent) await ready(socket, request.beforeSend, stop)
      const answer = await send(socket, hop, request, stop)
      const next = request.method === 'GET' ? nextHop(hop, answer.status, answer.headers) : undefined
      if (!next) return usable(answer)
      if (next === 'refused' || redirects === MAX_REDIRECTS) throw new EgressRefused('redirect', hop.url.hostname, true)
      hop = next
    }
  }

  const request = async (wanted: EgressRequest): Promise<EgressResponse> => {
    const late = new AbortController()
    const cancel = clock.after(wanted.timeouts.totalMs, () => late.abort(new Error('The time is over.')))
    try {
      return await follow(wanted, AbortSignal.any([wanted.signal, late.signal]))
    } catch (error) {
      if (!(error instanceof EgressFailure)) throw error
      if (wanted.signal.aborted) throw new EgressFailure('interrupted', error.sent, wanted.signal.reason)
      throw late.signal.aborted ? new EgressFailure('timeout', error.sent, error.cause) : error
    } finally {
      cancel()
    }
  }

  return { permits, request }
}

/** Lets the caller have the last word before anything is sent; without it, or without the connection, nothing will be. */
async function ready(socket: Socket, beforeSend: EgressRequest['beforeSend'], stop: AbortSignal): Promise<void> {
  try {
    await interruptible(Promise.resolve(beforeSend?.()), stop)
  } catch (error) {
    socket.destroy()
    throw stop.aborted ? new EgressFailure('connect_failed', false, error) : error
  }
  if (!socket.destroyed) return
  throw new EgressFailure('connect_failed', false, new Error('The connection was closed before anything was sent.'))
}

function usable({ status, headers, body }: Exchanged): EgressResponse {
  if (!body) throw new EgressUnusable('too_large', { status, headers })
  const encoding = headers['content-encoding'] ?? 'identity'
  if (body.length > 0 && encoding !== 'identity') throw new EgressUnusable('compressed', { status, headers })
  return { status, headers, body }
}

async function resolve(name: string): Promise<readonly string[]> {
  const answers = await systemLookup(name, { all: true })
  return answers.map(({ address }) => address)
}
