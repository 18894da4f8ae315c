import { Redis, type RedisOptions } from 'ioredis'
import type { Log } from '#log.ts'
import { type Clock, waitAtMost } from '../clock.ts'
import { isUnauthorized } from './redis-fault.ts'
import { splitAddress } from './redis-slots.ts'

export interface LinkOptions {
  /** `host:port`. */
  address: string
  connection: RedisOptions
  /** As whom to sign in at the next connection, where that may have changed. */
  login: (() => { username?: string; password?: string }) | undefined
  clock: Clock
  log: Log
  /** The server does not take the password. */
  onUnauthorized: (() => void) | undefined
  /** Connected and authenticated. Whoever is content calls `settled`. */
  onReady: () => void
  onDown: () => void
}

/** For connecting, TLS, HELLO and what is asked before use, together. */
const connectTimeoutMs = 3000
const reviveMs = 1000

/** A connection that comes back by itself, whatever happens to it. */
export class RedisLink {
  readonly address: string
  readonly redis: Redis
  readonly #options: LinkOptions
  #stopWatch: (() => void) | undefined
  #stopRevival: (() => void) | undefined
  #closed = false

  constructor(options: LinkOptions) {
    const { address, connection, log } = options
    this.#options = options
    this.address = address
    this.redis = new Redis({ ...connection, ...splitAddress(address) })
    this.redis.on('connecting', () => this.#watch())
    this.redis.on('ready', () => {
      if (!this.#closed && this.redis.status === 'ready') options.onReady()
    })
    this.redis.on('close', () => {
      const login = options.login?.()
      if (login) Object.assign(this.redis.options, { username: undefined, password: undefined }, login)
      this.#down()
    })
    this.redis.on('end', () => this.#revive())
    this.redis.on('error', (error: Error) => {
      log.debug({ err: error, address }, 'The connection to Redis failed')
      if (isUnauthorized(error)) options.onUnauthorized?.()
    })
  }

  connect(): void {
    // A failure shows in the events.
    this.redis.connect().catch(() => {})
  }

  settled(): void {
    this.#stopWatch?.()
  }

  /** A silent server would keep the connection open for ever: only destroying the socket ends it now. */
  giveUp(reason: string): void {
    if (this.#closed) return
    this.#options.log.warn({ address: this.address, reason }, 'The connection to Redis is given up')
    this.#down()
    this.redis.stream?.destroy()
  }

  /** New credentials, for this connection and those after it. */
  async authenticate(username: string, password: string): Promise<void> {
    Object.assign(this.redis.options, { username, password })
    if (this.redis.status === 'ready') await this.redis.auth(username, password)
  }

  close(): void {
    this.#closed = true
    this.#stopWatch?.()
    this.#stopRevival?.()
    this.redis.disconnect()
    this.redis.stream?.destroy()
  }

  #down(): void {
    if (!this.#closed) this.#options.onDown()
  }

  #watch(): void {
    this.#stopWatch?.()
    if (this.#closed) return
    this.#stopWatch = waitAtMost(this.#options.clock, connectTimeoutMs, () =>
      this.giveUp('Redis took too long to connect'),
    )
  }

  /** ioredis ends for good when a connection could not even be tried. */
  #revive(): void {
    this.#stopWatch?.()
    if (this.#closed) return
    this.#down()
    this.#stopRevival = this.#options.clock.after(reviveMs, () => this.connect())
  }
}
