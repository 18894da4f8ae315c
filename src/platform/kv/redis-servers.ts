import { Redis, type RedisOptions } from 'ioredis'
import type { Log } from '#log.ts'
import { type Clock, waitAtMost } from '../clock.ts'
import { unavailable } from './engine.ts'
import type { Key } from './kv.ts'
import type { RedisCall } from './redis-command.ts'
import { isUnauthorized } from './redis-fault.ts'
import { faultOf, keepsNoLog } from './redis-info.ts'
import type { LinkOptions } from './redis-link.ts'
import { RedisNode, type Refused } from './redis-node.ts'
import { readRedirect, readSlotRanges, type SlotRange, slotCount, slotOf, splitAddress } from './redis-slots.ts'

export interface ServersOptions {
  host: string
  port: number
  connection: RedisOptions
  login: LinkOptions['login']
  onUnauthorized: LinkOptions['onUnauthorized']
  cluster: boolean
  clock: Clock
  log: Log
  commandTimeoutMs: number
  /** A server came, went, or took over a slot. */
  onChange: () => void
}

const maxAttempts = 50
/** Between questions for the map of slots while an owner is away, half of it at random. */
const refreshMs = 500

/**
 * Which server keeps which key: the only one, or in a cluster the owner of the key's slot. The map of slots is asked for
 * at the start and for as long as an owner is away; in between, servers say themselves what has moved. Order is kept through
 * a move, not through a second one of the same slot before the calls that followed the first are answered.
 */
export class RedisServers {
  readonly #options: ServersOptions
  readonly #nodes = new Map<string, RedisNode>()
  readonly #faults = new Map<string, string>()
  /** In a cluster by slot, otherwise the one. */
  #owners: (RedisNode | undefined)[] = []
  /** Every slot has an owner. */
  #complete = false
  #refreshing = false
  #cancelRefresh: (() => void) | undefined
  #credentials: { username: string; password: string } | undefined
  #closed = false

  constructor(options: ServersOptions) {
    this.#options = options
  }

  connect(): void {
    const { cluster, host, port } = this.#options
    if (cluster) return this.#refresh()
    this.#owners = [this.#nodeAt(`${host}:${port}`)]
    this.#complete = true
  }

  get reachable(): boolean {
    if (!this.#complete) return false
    for (const node of this.#nodes.values()) if (!node.up) return false
    return true
  }

  get fault(): string | undefined {
    for (const fault of this.#faults.values()) return fault
    return undefined
  }

  ownerOf(key: Key): RedisNode | undefined {
    return this.#owners[this.#options.cluster ? slotOf(key) : 0]
  }

  submit(call: RedisCall): void {
    const [key] = call.call.keys
    const owner = key && this.ownerOf(key)
    if (owner) owner.submit(call)
    else call.call.fail(unavailable('no server for this key is known'))
  }

  #refresh(): void {
    if (this.#options.cluster && !this.#refreshing && !this.#closed) void this.#askAndApply()
  }

  /** New credentials for all connections, those to come included. */
  async authenticate(username: string, password: string): Promise<void> {
    this.#credentials = { username, password }
    await Promise.all(Array.from(this.#nodes.values(), ({ link }) => link.authenticate(username, password)))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelRefresh?.()
    await Promise.all(Array.from(this.#nodes.values(), (node) => node.close()))
  }

  #nodeAt(address: string): RedisNode {
    const known = this.#nodes.get(address)
    if (known) return known
    const { connection, login, onUnauthorized, clock, log, commandTimeoutMs } = this.#options
    const node = new RedisNode({
      address,
      connection: { ...connection, ...login?.(), ...this.#credentials },
      login,
      onUnauthorized,
      clock,
      log,
      commandTimeoutMs,
      onInfo: (info) => {
        this.#inspect(address, info)
        if (!keepsNoLog(info)) return
        log.warn({ address }, 'Redis keeps no append-only file: what it has not saved goes with it')
      },
      onChange: () => this.#changed(),
      onAgain: (refused, waiting) => this.#again(refused, waiting),
    })
    this.#nodes.set(address, node)
    return node
  }

  #inspect(address: string, info: string): void {
    const { log, cluster } = this.#options
    const fault = faultOf(info, cluster)
    if (!fault) {
      this.#faults.delete(address)
    } else if (this.#faults.get(address) !== fault) {
      this.#faults.set(address, fault)
      log.error({ address, fault }, 'Redis is not fit for use')
    }
  }

  #changed(): void {
    if (this.#closed) return
    if (!this.reachable) this.#refresh()
    this.#options.onChange()
  }

  #again(refused: readonly Refused[], waiting: readonly RedisCall[]): void {
    for (const { call, error } of refused) {
      call.attempts += 1
      if (call.attempts > maxAttempts) call.call.fail(unavailable(error))
      else this.#redirect(call, error.message)
    }
    for (const call of waiting) this.submit(call)
  }

  #redirect(call: RedisCall, message: string): void {
    const redirect = this.#options.cluster ? readRedirect(message) : undefined
    if (!redirect) return this.submit(call)
    const node = this.#nodeAt(redirect.address)
    if (message.startsWith('MOVED')) this.#owners[redirect.slot] = node
    else call.asking = true
    node.submit(call)
  }

  async #askAndApply(): Promise<void> {
    this.#refreshing = true
    const ranges = await this.#askForSlots()
    this.#refreshing = false
    if (this.#closed) return
    if (ranges) this.#apply(ranges)
    if (this.reachable) return
    this.#cancelRefresh?.()
    const delayMs = refreshMs * (0.5 + Math.random() / 2)
    this.#cancelRefresh = this.#options.clock.after(delayMs, () => this.#refresh())
  }

  async #askForSlots(): Promise<SlotRange[] | undefined> {
    for (const node of this.#nodes.values()) {
      if (!node.up) continue
      const ranges = await this.#askOne(node.link.redis, splitAddress(node.address).host)
      if (ranges) return ranges
    }
    const { connection, login, onUnauthorized, host, port, log } = this.#options
    const redis = new Redis({ ...connection, ...login?.(), ...this.#credentials, host, port, retryStrategy: null })
    redis.on('error', (error: Error) => {
      log.debug({ err: error }, 'The cluster cannot be asked for its slots')
      if (isUnauthorized(error)) onUnauthorized?.()
    })
    const ranges = await this.#askOne(redis, host)
    redis.disconnect()
    redis.stream?.destroy()
    return ranges
  }

  async #askOne(redis: Redis, host: string): Promise<SlotRange[] | undefined> {
    const { clock, log, commandTimeoutMs } = this.#options
    const late = Promise.withResolvers<never>()
    const cancel = waitAtMost(clock, commandTimeoutMs, () => late.reject(new Error('no answer')))
    const ask = async () => {
      if (redis.status === 'wait') {
        await redis.connect()
        this.#inspect(`${host}:${redis.options.port}`, await redis.info())
      }
      return redis.cluster('SLOTS')
    }
    try {
      return readSlotRanges(await Promise.race([ask(), late.promise]), host)
    } catch (error) {
      if (!this.#closed) log.debug({ err: error }, 'A server does not say which slots it has')
      return undefined
    } finally {
      cancel()
    }
  }

  /**
   * A server that answers keeps its slots, whatever the map says: there may be calls on their way to it, and when it has
   * lost a slot it says so itself, to each of them in turn.
   */
  #apply(ranges: readonly SlotRange[]): void {
    const owners = Array.from({ length: slotCount }, (_, slot) => {
      const owner = this.#owners[slot]
      return owner?.answers ? owner : undefined
    })
    for (const { first, last, address } of ranges) {
      const named = this.#nodeAt(address)
      named.trust()
      for (let slot = first; slot <= last; slot++) owners[slot] ??= named
    }
    this.#owners = owners
    this.#complete = owners.every((owner) => owner !== undefined)
    const used = new Set(owners)
    for (const [address, node] of this.#nodes) {
      if (used.has(node)) continue
      this.#nodes.delete(address)
      void node.close()
    }
    for (const address of this.#faults.keys()) if (!this.#nodes.has(address)) this.#faults.delete(address)
    this.#options.onChange()
  }
}
