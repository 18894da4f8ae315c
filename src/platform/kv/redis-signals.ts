import type { RedisOptions } from 'ioredis'
import type { Log } from '#log.ts'
import { type Clock, waitAtMost } from '../clock.ts'
import { unavailable } from './engine.ts'
import type { Key } from './kv.ts'
import { type LinkOptions, RedisLink } from './redis-link.ts'
import { readRedirect } from './redis-slots.ts'

export interface SignalsOptions {
  connection: RedisOptions
  login: LinkOptions['login']
  onUnauthorized: LinkOptions['onUnauthorized']
  clock: Clock
  log: Log
  timeoutMs: number
  /** The server that keeps the key, and with it its channel. */
  addressOf: (key: Key) => string | undefined
}

interface Listener {
  onSignal: (payload: string) => void
  onGap: (() => void) | undefined
}

interface Topic {
  listeners: Set<Listener>
  address: string
  /** It was subscribed before, and is not since. */
  hasGap: boolean
  /** Absent while it has to be subscribed (again). */
  subscribed: Promise<void> | undefined
}

interface Subscriber {
  link: RedisLink
  up: boolean
  /** Resolves when it is up. */
  ready: PromiseWithResolvers<void>
}

const retryMs = 500
/** From a server that has lost a channel to the one that has it now. */
const maxHops = 3

/** Sharded subscriptions, each once per replica, over a connection of their own to each server that has some. */
export class RedisSignals {
  readonly #options: SignalsOptions
  readonly #topics = new Map<string, Topic>()
  readonly #subscribers = new Map<string, Subscriber>()
  #credentials: { username: string; password: string } | undefined
  #cancelRetry: (() => void) | undefined
  #closed = false

  constructor(options: SignalsOptions) {
    this.#options = options
  }

  async listen(key: Key, onSignal: Listener['onSignal'], onGap?: () => void): Promise<() => void> {
    const address = this.#options.addressOf(key)
    if (this.#closed || !address) throw unavailable('no server for this key is known')
    const topic = this.#topics.get(key) ?? { listeners: new Set(), address, hasGap: false, subscribed: undefined }
    this.#topics.set(key, topic)
    const listener: Listener = { onSignal, onGap }
    topic.listeners.add(listener)
    const leave = () => this.#leave(key, topic, listener)
    try {
      await this.#subscribe(key, topic)
    } catch (error) {
      leave()
      throw unavailable(error)
    }
    return leave
  }

  /** The servers have changed: channels that are not subscribed go to where their keys are now. */
  follow(): void {
    for (const [key, topic] of this.#topics) {
      if (!topic.subscribed) topic.address = this.#options.addressOf(key as Key) ?? topic.address
    }
    for (const [address, { link }] of this.#subscribers) {
      if (this.#isUsed(address)) continue
      this.#subscribers.delete(address)
      link.close()
    }
    this.#subscribeAll()
  }

  async authenticate(username: string, password: string): Promise<void> {
    this.#credentials = { username, password }
    await Promise.all(Array.from(this.#subscribers.values(), ({ link }) => link.authenticate(username, password)))
  }

  close(): void {
    this.#closed = true
    this.#cancelRetry?.()
    for (const { link } of this.#subscribers.values()) link.close()
  }

  #isUsed(address: string): boolean {
    for (const topic of this.#topics.values()) if (topic.address === address) return true
    return false
  }

  #subscribe(key: string, topic: Topic): Promise<void> {
    if (!topic.subscribed) {
      const subscribed = this.#subscribeNow(key, topic).then(
        () => this.#tellOfGap(topic),
        (error: unknown) => {
          if (topic.subscribed === subscribed) topic.subscribed = undefined
          throw error
        },
      )
      topic.subscribed = subscribed
    }
    return topic.subscribed
  }

  async #subscribeNow(key: string, topic: Topic): Promise<void> {
    for (let hops = 0; ; hops++) {
      try {
        return await this.#subscribeThere(key, topic)
      } catch (error) {
        const moved = error instanceof Error && error.message.startsWith('MOVED') && readRedirect(error.message)
        if (!moved || hops === maxHops) throw error
        topic.address = moved.address
      }
    }
  }

  async #subscribeThere(key: string, topic: Topic): Promise<void> {
    const { clock, timeoutMs } = this.#options
    const { link, ready } = this.#subscriberAt(topic.address)
    const late = Promise.withResolvers<never>()
    const cancel = waitAtMost(clock, timeoutMs, () => {
      late.reject(new Error('Redis does not answer'))
      if (link.redis.status === 'ready') link.giveUp('Redis does not answer')
    })
    const subscribe = async () => {
      await ready.promise
      // Nobody may be listening any more.
      if (this.#topics.get(key) === topic) await link.redis.ssubscribe(key)
    }
    try {
      await Promise.race([subscribe(), late.promise])
    } finally {
      cancel()
    }
  }

  /** Whatever is not subscribed; again after a while if that fails. */
  #subscribeAll(): void {
    if (this.#closed) return
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    for (const [key, topic] of this.#topics) {
      if (topic.subscribed) continue
      this.#subscribe(key, topic).catch(() => this.#retryLater())
    }
  }

  #retryLater(): void {
    if (!this.#closed) this.#cancelRetry ??= this.#options.clock.after(retryMs, () => this.follow())
  }

  #leave(key: string, topic: Topic, listener: Listener): void {
    if (!topic.listeners.delete(listener) || topic.listeners.size > 0) return
    if (this.#topics.get(key) !== topic) return
    this.#topics.delete(key)
    this.#unsubscribe(key, topic)
  }

  #unsubscribe(key: string, { address }: Topic): void {
    // Without a connection there is no subscription either.
    this.#subscribers
      .get(address)
      ?.link.redis.sunsubscribe(key)
      .catch(() => {})
  }

  #subscriberAt(address: string): Subscriber {
    const known = this.#subscribers.get(address)
    if (known) return known
    const { connection, login, onUnauthorized, clock, log } = this.#options
    const subscriber: Subscriber = {
      up: false,
      ready: Promise.withResolvers(),
      link: new RedisLink({
        address,
        connection: { ...connection, ...login?.(), ...this.#credentials },
        login,
        onUnauthorized,
        clock,
        log,
        onReady: () => {
          subscriber.link.settled()
          subscriber.up = true
          subscriber.ready.resolve()
          this.#subscribeAll()
        },
        onDown: () => {
          if (!subscriber.up) return
          subscriber.up = false
          subscriber.ready = Promise.withResolvers()
          this.#forget(address)
          this.#retryLater()
        },
      }),
    }
    subscriber.link.redis.on('smessage', (channel: string, payload: string) => this.#deliver(channel, payload))
    subscriber.link.redis.on('moved', () => {
      this.#forget(address)
      this.#subscribeAll()
    })
    this.#subscribers.set(address, subscriber)
    subscriber.link.connect()
    return subscriber
  }

  #forget(address: string): void {
    for (const topic of this.#topics.values()) {
      if (topic.address !== address) continue
      topic.hasGap ||= topic.subscribed !== undefined
      topic.subscribed = undefined
    }
  }

  #tellOfGap(topic: Topic): void {
    if (!topic.hasGap) return
    topic.hasGap = false
    for (const { onGap } of topic.listeners) if (onGap) this.#tell(onGap, '')
  }

  #deliver(channel: string, payload: string): void {
    for (const { onSignal } of this.#topics.get(channel)?.listeners ?? []) this.#tell(onSignal, payload)
  }

  #tell(listener: (payload: string) => void, payload: string): void {
    try {
      listener(payload)
    } catch (error) {
      this.#options.log.error({ err: error }, 'A listener of a signal failed')
    }
  }
}
