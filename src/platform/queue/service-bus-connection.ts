import type { Log } from '#log.ts'
import { type Clock, delay } from '../clock.ts'
import { unavailable } from './limits.ts'
import { isDoubtful, isUnauthorized, queueFault } from './service-bus-fault.ts'
import { type Address, openSession, type Session } from './service-bus-session.ts'
import { destroySocket, watchSocket } from './service-bus-socket.ts'
import { within } from './within.ts'

export interface ConnectionOptions {
  address: Address
  clock: Clock
  log: Log
  /** An operation that takes longer has failed, ms. */
  operationTimeoutMs: number
  onUnauthorized: (() => void) | undefined
  onUp: (session: Session) => void
  onDown: () => void
  /** Another session from now on; resolves when nothing is left on the one before. */
  onRenewed: (session: Session) => Promise<void>
}

const firstDelayMs = 100
const maxDelayMs = 5000
const closeMs = 2000

/**
 * Whether the broker is within reach, and through which client.
 *
 *     down ── a probe is answered ──▶ up ── an operation fails and a probe after it ──▶ down ── … ──▶ closed
 *
 * While down, operations fail at once, and a new client is tried again and again, with full jitter. While up, `renew` puts another
 * client in the place of the one there is, without a moment in which there is none.
 */
export class ServiceBusConnection {
  readonly #options: ConnectionOptions
  readonly #closing = new AbortController()
  #session: Session | undefined
  /** Replaced, and still needed for what came through them. */
  readonly #leaving = new Set<Session>()
  readonly #dismissals = new Set<Promise<void>>()
  #renewing = Promise.resolve()
  #probing = false
  #attempts = 0

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  get reachable(): boolean {
    return this.#session !== undefined
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  /** Tries until it is up or closed. */
  async connect(): Promise<void> {
    while (!this.closed && !this.#session) {
      try {
        await this.#try()
      } catch (error) {
        if (this.closed) return
        if (this.#attempts === 0) this.#options.log.warn({ err: error }, 'Service Bus is out of reach')
        await this.#pause()
      }
    }
  }

  /** Rejects with errors of ours only. */
  async run<Result>(work: (session: Session) => Promise<Result>): Promise<Result> {
    const session = this.#session
    if (!session) throw unavailable(this.closed ? 'closed' : 'out of reach')
    this.#watch(session)
    try {
      return await this.#within(session, work(session))
    } catch (error) {
      if (isDoubtful(error)) this.doubt()
      throw queueFault(error)
    }
  }

  /** Asks whether the broker still answers; if not, starts anew. */
  doubt(): void {
    const session = this.#session
    if (!session || this.#probing) return
    this.#probing = true
    // A link that has just been dropped fails the first.
    this.#within(session, probe(session))
      .catch(() => this.#within(session, probe(session)))
      .catch((error) => this.#lost(session, error))
      .finally(() => {
        this.#probing = false
      })
  }

  /** Signs in as it is right now, for what comes from here on. Without success all stays as it is. */
  renew(): Promise<void> {
    this.#renewing = this.#renewing.then(() => this.#renew())
    return this.#renewing
  }

  async #renew(): Promise<void> {
    const before = this.#session
    if (!before) return
    const { log, onRenewed } = this.#options
    let session: Session
    try {
      session = await this.#open()
    } catch (error) {
      log.warn({ err: error }, 'Service Bus could not be signed in to anew; the connection from before is kept')
      return
    }
    // Lost or closed meanwhile: what follows signs in anew by itself.
    if (this.#session !== before) return this.#dismiss(session)
    this.#session = session
    this.#leaving.add(before)
    this.#watch(session)
    log.info('Service Bus was signed in to anew')
    void onRenewed(session).then(() => {
      if (this.#leaving.delete(before)) this.#dismiss(before)
    })
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.#closing.abort()
    const session = this.#session
    this.#session = undefined
    await within(this.#options.clock, closeMs, this.#renewing).catch(() => {})
    for (const each of [...this.#leaving, ...(session ? [session] : [])]) this.#dismiss(each)
    this.#leaving.clear()
    await Promise.all(this.#dismissals)
  }

  async #try(): Promise<void> {
    const { log, onUp } = this.#options
    const session = await this.#open()
    if (this.closed) return void this.#discard(session)
    this.#session = session
    this.#attempts = 0
    this.#watch(session)
    log.info('Service Bus is within reach')
    onUp(session)
  }

  async #open(): Promise<Session> {
    const session = await openSession(this.#options.address)
    try {
      // The links that are needed first are there before anybody waits for them.
      const asked = [probe(session), session.sender.createMessageBatch()]
      await Promise.all(asked.map((work) => this.#within<unknown>(session, work)))
    } catch (error) {
      if (isUnauthorized(error)) this.#options.onUnauthorized?.()
      this.#dismiss(session)
      throw error
    }
    return session
  }

  #watch(session: Session): void {
    watchSocket(session.client, () => this.#lost(session, new Error('the connection was closed')))
  }

  #lost(session: Session, error: unknown): void {
    if (this.#session !== session) return
    this.#options.log.warn({ err: error }, 'Service Bus is out of reach')
    this.#session = undefined
    this.#attempts = 1
    session.giveUp(error)
    this.#options.onDown()
    destroySocket(session.client)
    void this.#discard(session)
    void this.#pause().then(() => this.connect())
  }

  async #pause(): Promise<void> {
    const most = Math.min(maxDelayMs, firstDelayMs * 2 ** this.#attempts)
    this.#attempts += 1
    await delay(this.#options.clock, Math.random() * most, this.#closing.signal).catch(() => {})
  }

  async #within<Result>(session: Session, work: Promise<Result>): Promise<Result> {
    const { clock, operationTimeoutMs } = this.#options
    const { underWay } = session
    const answer = Promise.withResolvers<Result>()
    underWay.set(work, answer.reject)
    // A race against a promise that lives as long as the session would leave something behind each time.
    work.then(answer.resolve, answer.reject).finally(() => underWay.delete(work))
    // Nobody comes to say so any more.
    if (session.isGivenUp) answer.reject(new Error('the connection was given up'))
    return within(clock, operationTimeoutMs, answer.promise)
  }

  /** The client leaves a timer behind, up to a minute, for what it waits for when it is closed: so that is waited for. */
  #dismiss(session: Session): void {
    const answered = within(this.#options.clock, closeMs, Promise.allSettled(session.underWay.keys()))
    const dismissal = answered
      .catch(() => session.giveUp('closed'))
      .then(() => this.#discard(session))
      .finally(() => this.#dismissals.delete(dismissal))
    this.#dismissals.add(dismissal)
  }

  /** The client cannot be closed over a connection that says nothing: then it has to lose that first. */
  async #discard({ client, underWay }: Session): Promise<void> {
    const { clock, log } = this.#options
    // What is still asked for may open a closed client again.
    if (underWay.size > 0) void Promise.allSettled(underWay.keys()).then(() => client.close().catch(() => {}))
    const close = () => within(clock, closeMs, client.close())
    try {
      await close().catch(() => {
        destroySocket(client)
        return close()
      })
    } catch (error) {
      log.debug({ err: error }, 'A client of Service Bus did not close')
    }
  }
}

async function probe({ receiver }: Session): Promise<void> {
  await receiver.peekMessages(1)
}
