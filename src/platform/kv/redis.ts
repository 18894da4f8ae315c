import type { Log } from '#log.ts'
import { type Clock, waitPatiently } from '../clock.ts'
import type { TokenSource } from '../credential.ts'
import { type Call, type Engine, unavailable } from './engine.ts'
import type { Key } from './kv.ts'
import { RedisCall } from './redis-command.ts'
import { connectionOf, loginOf } from './redis-connection.ts'
import { RedisLogin } from './redis-login.ts'
import { RedisServers } from './redis-servers.ts'
import { RedisSignals } from './redis-signals.ts'

export interface RedisOptions {
  /** `redis://` or `rediss://`, with user, password and database as far as there are any; asked again for each connection. */
  url: () => string
  cluster: boolean
  /** Signs in with tokens instead of the URL's password. */
  credential: TokenSource | undefined
  /** Redis does not take the password. */
  onUnauthorized?: (() => void) | undefined
  clock: Clock
  log: Log
  /** A server that answers nothing for so long, though it was asked, is out of reach. */
  commandTimeoutMs?: number
}

/** Redis, a single server or a cluster: calls to the servers that keep their keys, signals over connections of their own. */
export class RedisEngine implements Engine {
  readonly engine = 'redis'
  readonly #options: RedisOptions
  readonly #servers: RedisServers
  readonly #signals: RedisSignals
  readonly #login: RedisLogin | undefined
  readonly #onReachable = new Set<() => void>()
  #wasReachable = false
  #closed = false

  constructor(options: RedisOptions) {
    const { url, cluster, credential, onUnauthorized, clock, log, commandTimeoutMs = 1000 } = options
    const { host, port, options: connection } = connectionOf(url())
    const login = credential ? undefined : () => loginOf(url())
    this.#options = options
    this.#servers = new RedisServers({
      ...{ host, port, connection, login, onUnauthorized, cluster, clock, log, commandTimeoutMs },
      onChange: () => this.#changed(),
    })
    this.#signals = new RedisSignals({
      ...{ connection, login, onUnauthorized, clock, log },
      timeoutMs: commandTimeoutMs,
      addressOf: (key) => this.#servers.ownerOf(key)?.address,
    })
    this.#login =
      credential &&
      new RedisLogin({ credential, clock, log, onCredentials: (user, token) => this.#authenticate(user, token) })
  }

  get reachable(): boolean {
    return !this.#closed && this.#servers.reachable
  }

  get fault(): string | undefined {
    return this.#servers.fault
  }

  /** Begins to connect; resolves when connected, or after `patienceMs` without, or when the signal aborts. */
  async connect(patienceMs: number, signal?: AbortSignal): Promise<void> {
    const waited = Promise.withResolvers<void>()
    this.#onReachable.add(waited.resolve)
    if (this.#login) void this.#login.start().then(() => this.#servers.connect())
    else this.#servers.connect()
    await waitPatiently(this.#options.clock, waited.promise, patienceMs, signal)
    this.#onReachable.delete(waited.resolve)
  }

  submit(call: Call): void {
    if (this.#closed) return call.fail(unavailable('closed'))
    this.#servers.submit(new RedisCall(call))
  }

  listen(key: Key, onSignal: (payload: string) => void, onGap?: () => void): Promise<() => void> {
    return this.#signals.listen(key, onSignal, onGap)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#login?.close()
    this.#signals.close()
    await this.#servers.close()
  }

  #changed(): void {
    this.#signals.follow()
    const { reachable } = this.#servers
    if (reachable === this.#wasReachable) return
    this.#wasReachable = reachable
    if (!reachable) return this.#options.log.warn('Redis is out of reach')
    this.#options.log.info('Redis is within reach')
    for (const resolve of this.#onReachable) resolve()
  }

  async #authenticate(username: string, token: string): Promise<void> {
    await Promise.all([this.#servers.authenticate(username, token), this.#signals.authenticate(username, token)])
  }
}
