import type { Command, Redis, RedisOptions } from 'ioredis'
import type { Log } from '#log.ts'
import { type Clock, HELD_UP_MS, waitAtMost } from '../clock.ts'
import { atEndOfTick } from '../end-of-tick.ts'
import { unavailable } from './engine.ts'
import { FlushPacing } from './flush-pacing.ts'
import type { Reply } from './kv.ts'
import { type Batch, boundOf, encodeWords, type Preface, RedisCall, RedisCommand, writeCall } from './redis-command.ts'
import { replyFault } from './redis-fault.ts'
import { type LinkOptions, RedisLink } from './redis-link.ts'

export interface NodeOptions {
  /** `host:port`, as the cluster names it. */
  address: string
  connection: RedisOptions
  login: LinkOptions['login']
  onUnauthorized: LinkOptions['onUnauthorized']
  clock: Clock
  log: Log
  commandTimeoutMs: number
  /** INFO of a server that has just been connected; empty when it may not be asked. */
  onInfo: (info: string) => void
  onChange: () => void
  /** Calls that were not executed, and those issued meanwhile: to be sent again in this order. */
  onAgain: (refused: readonly Refused[], waiting: readonly RedisCall[]) => void
}

export interface Refused {
  call: RedisCall
  error: Error
}

/** Between attempts at a slot that is on its way to another node. */
const tryAgainMs = 20
const none: readonly Preface[] = []
/** ioredis writes nothing: see `#flush`. */
const sink = { write: () => true } as unknown as Parameters<Redis['sendCommand']>[1]

/**
 * The calls of one server, over one connection.
 *
 *     starting ── connected and checked ──→ up ── closed, or silent for too long ──→ down ── connected and checked ──→ up
 *        └──────────────── failed ─────────────────────────────────────────────────→ down
 *
 * While starting, calls wait; while down, they fail at once; what was on its way when it goes down fails, its outcome
 * unknown. Calls of a tick leave in one write, in order; under load, patient ones wait for those of the next ticks. A reply that says "not executed" (no such script, moved) puts its
 * call aside, and from then on nothing is sent until all that is on its way is answered: then everything goes again in the
 * order in which it came, so that no append overtakes another.
 */
export class RedisNode {
  readonly link: RedisLink
  readonly #options: NodeOptions
  #state: 'starting' | 'up' | 'down' | 'closed' = 'starting'
  /** It is there but says that its cluster is not. */
  #doubted = false
  #queue: RedisCall[] = []
  #scheduled = false
  readonly #pacing = new FlushPacing()
  /** Runs while only patient calls wait. */
  #waiting: NodeJS.Timeout | undefined
  #batches: Batch[] = []
  /** So many since it was made. */
  #answers = 0
  #refused: Refused[] = []
  /** Scripts that this connection has sent, and what was wrong with those that the server did not take. */
  readonly #loaded = new Set<string>()
  readonly #unloadable = new Map<string, Error>()
  #stopWatch: (() => void) | undefined
  #onDrained: (() => void) | undefined

  constructor(options: NodeOptions) {
    this.#options = options
    this.link = new RedisLink({ ...options, onReady: () => void this.#greet(), onDown: () => this.#goDown() })
    this.link.connect()
  }

  get address(): string {
    return this.link.address
  }

  get up(): boolean {
    return this.#state === 'up' && !this.#doubted
  }

  /** It serves its slots, or is about to. */
  get answers(): boolean {
    return (this.#state === 'up' || this.#state === 'starting') && !this.#doubted
  }

  /** Others say that it has slots. */
  trust(): void {
    this.#doubted = false
  }

  submit(call: RedisCall): void {
    if (this.#state === 'down' || this.#state === 'closed') return call.call.fail(unavailable('disconnected'))
    this.#queue.push(call)
    this.#schedule(call.call.operation.patient === true)
  }

  /** Calls on their way are answered first, if the server answers in time. */
  async close(): Promise<void> {
    if (this.#state === 'up') {
      this.#flush()
      if (this.#batches.length > 0) await this.#drained()
    }
    this.#state = 'closed'
    this.#failWaiting()
    this.link.close()
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(this.#options.commandTimeoutMs, resolve)
      this.#onDrained = () => {
        cancel()
        resolve()
      }
    })
  }

  #schedule(patient = false): void {
    if (this.#scheduled || this.#state !== 'up' || this.#refused.length > 0 || this.#queue.length === 0) return
    const delayMs = patient ? this.#pacing.delayMs : 0
    if (delayMs > 0) {
      this.#waiting ??= setTimeout(() => {
        this.#waiting = undefined
        this.#flush()
      }, delayMs)
      return
    }
    this.#scheduled = true
    // What all sockets of this turn of the loop brought about goes together.
    atEndOfTick(this.#flushScheduled)
  }

  readonly #flushScheduled = (): void => {
    this.#scheduled = false
    this.#flush()
  }

  #flush(): void {
    if (this.#state !== 'up' || this.#refused.length > 0 || this.#queue.length === 0) return
    const { stream } = this.link.redis
    if (!stream.writable) return this.#failWaiting()
    const batch: Batch = { sentAt: this.#options.clock.monotonic(), left: 0 }
    this.#batches.push(batch)
    const frames: (Preface | RedisCall)[] = []
    let bound = 0
    if (this.#queue.every(({ call }) => call.operation.patient)) this.#pacing.flushed(this.#queue.length)
    for (const call of this.#queue) {
      for (const preface of this.#prefacesOf(call)) {
        frames.push(preface)
        bound += preface.bytes.length
      }
      frames.push(call)
      bound += boundOf(call)
    }
    this.#queue = []
    const out = Buffer.allocUnsafe(bound)
    let at = 0
    for (const frame of frames) {
      at = frame instanceof RedisCall ? writeCall(out, at, frame) : at + frame.bytes.copy(out, at)
      batch.left += 1
      const command = new RedisCommand(batch, frame, this.#onAnswer)
      this.link.redis.sendCommand(command as unknown as Command, sink)
    }
    stream.write(out.subarray(0, at))
    this.#watch()
  }

  /** What has to go before a call: its script at first, and the permission to run it on a node that imports its slot. */
  #prefacesOf(call: RedisCall): readonly Preface[] {
    const { sha, text } = call.script
    const isLoaded = this.#loaded.has(sha)
    if (isLoaded && !call.asking) return none
    const prefaces: Preface[] = []
    if (!isLoaded) {
      this.#loaded.add(sha)
      const bytes = encodeWords(['SCRIPT', 'LOAD', text])
      prefaces.push({ bytes, onError: (error) => this.#unloadable.set(sha, error) })
    }
    if (call.asking) prefaces.push({ bytes: encodeWords(['ASKING']), onError: () => {} })
    call.asking = false
    return prefaces
  }

  readonly #onAnswer = ({ batch, sent }: RedisCommand, error: Error | undefined, reply: unknown): void => {
    this.#answers += 1
    if (sent instanceof RedisCall) {
      if (error) this.#fail(sent, error)
      else sent.call.succeed(reply as Reply)
    } else if (error) {
      sent.onError(error)
    }
    this.#answered(batch)
  }

  #fail(call: RedisCall, error: Error): void {
    const unloadable = error.message.startsWith('NOSCRIPT') && this.#unloadable.get(call.script.sha)
    const fault = replyFault(unloadable || error)
    if (error.message.startsWith('READONLY')) this.link.giveUp('Redis is a replica now')
    if (error.message.startsWith('CLUSTERDOWN')) this.#doubt()
    if (fault === 'again' && this.#state === 'up') this.#refused.push({ call, error })
    else call.call.fail(fault === 'again' ? unavailable(error) : fault)
  }

  #answered(batch: Batch): void {
    batch.left -= 1
    if (batch.left > 0) return
    while (this.#batches[0]?.left === 0) this.#batches.shift()
    if (this.#batches.length > 0) return
    if (this.#refused.length > 0) this.#again()
    this.#onDrained?.()
  }

  #again(): void {
    const inVain = this.#refused.some(({ error }) => error.message.startsWith('TRYAGAIN'))
    if (inVain) this.#options.clock.after(tryAgainMs, () => this.#release())
    else this.#release()
  }

  #release(): void {
    const refused = this.#refused
    const waiting = this.#queue
    this.#refused = []
    this.#queue = []
    // Whoever has lost one script has lost them all.
    this.#forgetScripts()
    this.#options.onAgain(refused, waiting)
  }

  #forgetScripts(): void {
    this.#loaded.clear()
    this.#unloadable.clear()
  }

  /**
   * One timer looks after all batches: it fires when the oldest is due, and mostly finds that it is long answered. A server
   * that is behind, but has answered something meanwhile, is given as long again; so is, once, one that may have answered while
   * this process stood still.
   */
  #watch(leastMs = 1, mayStandStill = true): void {
    const oldest = this.#batches[0]
    if (this.#stopWatch || !oldest) return
    const { clock, commandTimeoutMs } = this.#options
    const waitMs = Math.max(leastMs, oldest.sentAt + commandTimeoutMs - clock.monotonic())
    const dueAt = clock.monotonic() + waitMs
    const answers = this.#answers
    this.#stopWatch = waitAtMost(clock, waitMs, () => {
      this.#stopWatch = undefined
      const left = this.#batches[0]
      if (!left || clock.monotonic() < left.sentAt + commandTimeoutMs) return this.#watch()
      if (this.#answers > answers) return this.#watch(commandTimeoutMs)
      if (mayStandStill && clock.monotonic() >= dueAt + HELD_UP_MS) return this.#watch(commandTimeoutMs, false)
      this.link.giveUp('Redis does not answer')
    })
  }

  async #greet(): Promise<void> {
    const { redis } = this.link
    const info = await redis.info().catch((error: Error) => error)
    if (this.#state === 'closed' || redis.status !== 'ready') return
    if (typeof info === 'string' && /^loading:1/m.test(info)) return redis.disconnect(true)
    this.link.settled()
    this.#forgetScripts()
    this.#doubted = false
    this.#state = 'up'
    this.#options.onInfo(typeof info === 'string' ? info : '')
    this.#options.onChange()
    this.#schedule()
  }

  #doubt(): void {
    if (this.#doubted) return
    this.#doubted = true
    this.#options.onChange()
  }

  #goDown(): void {
    if (this.#state === 'closed' || this.#state === 'down') return
    this.#state = 'down'
    this.#failWaiting()
    this.#options.onChange()
  }

  /** Those on their way are failed by ioredis, when the socket closes. */
  #failWaiting(): void {
    this.#stopWatch?.()
    this.#stopWatch = undefined
    const calls = [...this.#refused.map(({ call }) => call), ...this.#queue]
    this.#refused = []
    this.#queue = []
    this.#batches = []
    for (const { call } of calls) call.fail(unavailable('disconnected'))
  }
}
