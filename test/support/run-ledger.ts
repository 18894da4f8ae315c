import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as pass } from 'node:timers/promises'
import { keepAliveTimeout } from './keep-alive.ts'

/** What a run asks of the target: who it is, and where it stands in its lane. */
export interface Asked {
  lane: string
  x: number
}

/** What the target saw of one `Idempotency-Key`. */
export interface Entry {
  action: string
  asked: Asked
  /** Requests that came. */
  arrivals: number
  /** How often it was done. */
  effects: number
}

/** An internal tool that is often in trouble, and keeps book of what it was asked and of what it did. */
export interface RunLedger extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly host: string
  /** By key. */
  readonly entries: ReadonlyMap<string, Entry>
  /** Requests with their lanes, in the order in which they came. */
  readonly arrivals: readonly Asked[]
  /** Requests that it has not answered yet. */
  readonly busy: number
}

/** Paths: what is done there once per key, and what each request does again. */
export const IDEMPOTENT_PATHS: readonly string[] = ['put', 'next']

/** Shares of the requests. `before`: nothing was done. `after`: it was done, and nobody is told. */
const TROUBLES = [
  { share: 0.03, trouble: 'busy' },
  { share: 0.03, trouble: 'fails before' },
  { share: 0.03, trouble: 'cuts before' },
  { share: 0.03, trouble: 'fails after' },
  { share: 0.03, trouble: 'cuts after' },
  { share: 0.02, trouble: 'too slow' },
] as const
type Trouble = (typeof TROUBLES)[number]['trouble']

/** Longer than the actions wait for it. */
export const TARGET_TIMEOUT_MS = 1000
const TOO_SLOW_MS = 1500
const MOST_MS = 60

export async function startRunLedger(random: () => number): Promise<RunLedger> {
  const entries = new Map<string, Entry>()
  const arrivals: Asked[] = []
  let busy = 0

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = String(request.headers['idempotency-key'])
    const action = (request.url ?? '').slice(1)
    const asked = (await json(request)) as Asked
    const trouble = troubleOf(random())
    const entry = entries.getOrInsertComputed(key, () => ({ action, asked, arrivals: 0, effects: 0 }))
    entry.arrivals += 1
    arrivals.push(asked)
    const happens = trouble !== 'busy' && trouble !== 'fails before' && trouble !== 'cuts before'
    await pass(random() * MOST_MS)
    const isKnown = entry.effects > 0 && IDEMPOTENT_PATHS.includes(action)
    if (happens && !isKnown) entry.effects += 1
    if (trouble === 'too slow') await pass(TOO_SLOW_MS)
    if (trouble === 'cuts before' || trouble === 'cuts after') return void request.socket.destroy()
    if (trouble === 'busy') return void response.writeHead(429).end()
    if (trouble === 'fails before' || trouble === 'fails after') return void response.writeHead(500).end()
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ done: asked.x }))
  }

  const server = createServer({ keepAliveTimeout }, (request, response) => {
    busy += 1
    // A worker that was killed has hung up.
    serve(request, response)
      .catch(() => response.destroy())
      .finally(() => {
        busy -= 1
      })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    entries,
    arrivals,
    get busy() {
      return busy
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function troubleOf(drawn: number): Trouble | undefined {
  let below = 0
  for (const { share, trouble } of TROUBLES) {
    below += share
    if (drawn < below) return trouble
  }
  return undefined
}
