import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { CorrectableError, type ExecutorContext, PassingError } from '../executor.ts'
import { Backoff } from './backoff.ts'
import type { Target } from './permitted.ts'
import { answerOf } from './result.ts'
import type { Session } from './session.ts'

const IDLE_MS = 600_000
/** Notice of a change may get lost; so a listing is looked at anew when it is older than this. */
const RELIST_MS = 60_000

type SessionModule = Awaited<ReturnType<typeof loadSession>>

export interface ConnectionOptions {
  server: string
  target: Target
  fetch: typeof fetch
  clock: Clock
  log: Log
  /** Tools whose drift was logged already, by server, name and pin. */
  drifted: Set<string>
  /** Nothing was asked of it for ten minutes; it has closed itself. */
  onIdle: () => void
}

export interface ToolRequest {
  tool: string
  pin: string | undefined
  args: Readonly<Record<string, unknown>>
}

interface Live {
  session: Session
  tools: ReadonlyMap<string, string>
  listedAt: number
  stale: boolean
  relisting: Promise<void> | undefined
  calls: number
  retired: boolean
}

/**
 * One server, connected to when first needed and shared by all calls. Once a connection has failed, its calls go to their end,
 * the next call opens another, and after repeated failures callers are refused until a while has passed.
 */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #backoff: Backoff
  #current: Promise<Live> | undefined
  /** Connected, or left by the last one but not by all. */
  readonly #lives = new Set<Live>()
  #token: string | undefined
  #users = 0
  #stopIdling = () => {}
  #closed = false

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.clock)
    this.#idle()
  }

  /** Calls a tool; `token` is the caller's own, where the server wants one. */
  async call(request: ToolRequest, context: ExecutorContext, token: string | undefined): Promise<unknown> {
    this.#stopIdling()
    this.#users += 1
    this.#token = token
    try {
      return await this.#callTool(request, context)
    } finally {
      this.#users -= 1
      if (this.#users === 0 && !this.#closed) this.#idle()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopIdling()
    await this.#current?.catch(() => undefined)
    await Promise.all([...this.#lives].map(({ session }) => session.close()))
  }

  async #callTool({ tool, pin, args }: ToolRequest, context: ExecutorContext): Promise<unknown> {
    const { signal, key, traceparent } = context
    const sdk = await loadSession()
    let live: Live | undefined
    try {
      live = await unlessAborted(this.#open(sdk), signal)
      await unlessAborted(this.#listed(live), signal)
      this.#admit(live, tool, pin)
      await context.begin()
      signal.throwIfAborted()
      live.calls += 1
      return answerOf(await live.session.call({ tool, args, key, traceparent, signal }).finally(() => this.#left(live)))
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const failure = sdk.failureOf(error)
      if (live && sdk.endsConnection(failure)) this.#retire(live)
      throw failure
    }
  }

  #open(sdk: SessionModule): Promise<Live> {
    if (this.#closed) {
      throw new PassingError('The process is shutting down.', { reason: 'shutting_down', untouched: true })
    }
    if (this.#current) return this.#current
    const opening = this.#connect(sdk)
    this.#current = opening
    opening.catch(() => {
      if (this.#current === opening) this.#current = undefined
    })
    return opening
  }

  /** Rejects with `PassingError`. */
  async #connect(sdk: SessionModule): Promise<Live> {
    const { server, target, fetch, clock, log } = this.#options
    let session: Session | undefined
    let live: Live | undefined
    try {
      this.#backoff.pass()
      const onEnd = () => live && this.#retire(live)
      const onToolsChanged = () => {
        if (live) live.stale = true
      }
      const token = () => this.#token
      session = await sdk.openSession({ target, fetch, token, now: clock.now, onEnd, onToolsChanged })
      const tools = await session.tools()
      const listedAt = clock.monotonic()
      live = { session, tools, listedAt, stale: false, relisting: undefined, calls: 0, retired: false }
      this.#lives.add(live)
      this.#backoff.opened()
      log.info({ server, tools: tools.size }, 'MCP server connected')
      return live
    } catch (error) {
      await session?.close()
      if (error instanceof PassingError) throw error
      this.#backoff.failed()
      const lastWords = error instanceof sdk.StartFailure ? error.lastWords : undefined
      log.warn({ server, err: error, lastWords }, 'MCP server out of reach')
      const failure = sdk.failureOf(error)
      throw failure instanceof CorrectableError ? failure : sdk.unreachable(error)
    }
  }

  async #listed(live: Live): Promise<void> {
    const { clock } = this.#options
    if (!live.stale && clock.monotonic() - live.listedAt < RELIST_MS) return
    live.relisting ??= this.#relist(live).finally(() => {
      live.relisting = undefined
    })
    await live.relisting
  }

  async #relist(live: Live): Promise<void> {
    // What changes meanwhile is looked at by the next call.
    live.stale = false
    try {
      live.tools = await live.session.tools()
      live.listedAt = this.#options.clock.monotonic()
    } catch (error) {
      live.stale = true
      const { failureOf, unreachable } = await loadSession()
      throw unreachable(failureOf(error))
    }
  }

  /** Throws when the tool is not what it was when it was pinned. */
  #admit({ tools }: Live, tool: string, pin: string | undefined): void {
    const { server, log, drifted } = this.#options
    const hash = tools.get(tool)
    const id = JSON.stringify([server, tool, pin])
    if (hash !== undefined && (pin === undefined || hash === pin)) {
      drifted.delete(id)
      return
    }
    if (pin === undefined) throw new CorrectableError('The MCP server does not offer this tool. Go on without it.')
    if (!drifted.has(id)) log.error({ server, tool, pin, hash, reason: 'tool_drifted' }, 'MCP tool drifted')
    drifted.add(id)
    throw new CorrectableError(
      'This tool is disabled (tool_drifted): its server has changed it since it was reviewed. Go on without it.',
    )
  }

  /** No new calls on this connection; it is closed when the last one has left. */
  #retire(live: Live): void {
    if (live.retired) return
    live.retired = true
    this.#current = undefined
    this.#backoff.failed()
    if (!this.#closed) this.#options.log.warn({ server: this.#options.server }, 'MCP server lost')
    this.#closeIfLeft(live)
  }

  #left(live: Live | undefined): void {
    if (!live) return
    live.calls -= 1
    if (live.retired) this.#closeIfLeft(live)
  }

  #closeIfLeft(live: Live): void {
    if (live.calls > 0) return
    this.#lives.delete(live)
    live.session.close().catch((error) => this.#options.log.debug({ err: error }, 'MCP server not closed'))
  }

  #idle(): void {
    this.#stopIdling = this.#options.clock.after(IDLE_MS, () => {
      this.#options.onIdle()
      this.close().catch((error) => this.#options.log.debug({ err: error }, 'MCP server not closed'))
    })
  }
}

/** The SDK takes its time to load: only who calls a tool waits for it. */
async function loadSession() {
  const { openSession, StartFailure } = await import('./session.ts')
  const { endsConnection, failureOf, unreachable } = await import('./failures.ts')
  return { openSession, StartFailure, endsConnection, failureOf, unreachable }
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
