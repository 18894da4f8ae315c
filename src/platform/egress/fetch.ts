import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, type Socket } from 'node:net'
import { Agent, type buildConnector, fetch as undiciFetch } from 'undici'
import { hostOf, hostRules } from '../hosts.ts'
import { addressRules, isLoopback } from './addresses.ts'
import { connectTo } from './connect.ts'
import { type EgressOptions, EgressRefused } from './egress.ts'
import { interruptible } from './interruptible.ts'

const CONNECT_TIMEOUT_MS = 10_000

/** `fetch` for those whose protocol needs streams, under the rules of the egress. */
export interface EgressFetch {
  /** Redirects are the caller's to refuse: each would be held against the rules, but see the same headers. */
  fetch: typeof fetch
  /** A connection for what is not HTTP, under the same rules; TLS, where it is spoken, is the caller's. */
  connect(host: string, port: number, signal: AbortSignal): Promise<Socket>
  close(): Promise<void>
}

/**
 * Every connection goes to a permitted host, at an address that was checked when the connection was made. An answer may take
 * its time, and a stream may be silent for as long as it likes: the caller's signal ends them. A refusal is the cause of the
 * `TypeError` that `fetch` rejects with. Throws when a host or a range cannot be read.
 */
export function createEgressFetch({ hosts, privateRanges, clock, lookup = resolve }: EgressOptions): EgressFetch {
  const permits = hostRules(hosts)
  const permitsAddress = addressRules(privateRanges)

  const open = async (url: URL, signal: AbortSignal) => {
    if (!permits(url)) throw new EgressRefused('host', url.hostname, false)
    const host = hostOf(url)
    const addresses = isIP(host) === 0 ? await interruptible(lookup(host), signal) : []
    const forbidden = (address: string) => !permitsAddress(address) && !(host === 'localhost' && isLoopback(address))
    if (addresses.some(forbidden)) throw new EgressRefused('address', host, false)
    return connectTo(url, addresses, signal)
  }

  const connect: buildConnector.connector = ({ protocol, hostname, port }, callback) => {
    const late = new AbortController()
    const cancel = clock.after(CONNECT_TIMEOUT_MS, () => late.abort(notInTime()))
    const url = new URL(`${protocol}//${isIP(hostname) === 6 ? `[${hostname}]` : hostname}${port ? `:${port}` : ''}`)
    open(url, late.signal)
      .finally(cancel)
      .then(
        (socket) => callback(null, socket),
        (error: Error) => callback(error, null),
      )
  }

  // A connection kept for later may be closed by the target just as the next request leaves; nobody could tell what came of it.
  const dispatcher = new Agent({ pipelining: 0, connect, headersTimeout: 0, bodyTimeout: 0 })
  const guarded = (url: unknown, init: object = {}) => undiciFetch(url as string, { ...init, dispatcher })
  return {
    fetch: guarded as unknown as typeof fetch,
    connect: (host, port, signal) => open(new URL(`http://${isIP(host) === 6 ? `[${host}]` : host}:${port}`), signal),
    close: () => dispatcher.destroy(),
  }
}

function notInTime(): Error {
  return Object.assign(new Error('The time to connect is over.'), { code: 'UND_ERR_CONNECT_TIMEOUT' })
}

async function resolve(name: string): Promise<readonly string[]> {
  const answers = await systemLookup(name, { all: true })
  return answers.map(({ address }) => address)
}
