import type { MessageHandlers, ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus'
import type { Clock } from '../clock.ts'
import { receiverOptions, type Session } from './service-bus-session.ts'
import { within } from './within.ts'

export interface LinkOptions {
  session: Session
  queue: string
  concurrency: number
  clock: Clock
  /** Resolves when the message is out of our hands; never rejects. */
  onMessage: (message: ServiceBusReceivedMessage) => Promise<void>
  /** The link, or what it needs, is broken; it recovers by itself or not. */
  onFault: (error: unknown) => void
}

/**
 * The client attaches a lost link again by itself, and then settles what came through the old one on a link that is no more.
 * So we end it when it is about to, and take a new one. This is how it tells; it would be slower without.
 */
interface Hooks {
  preInitialize(): Promise<void>
}

/**
 * The client gives a link 200 ms to be quiet, closes it then, and lets what arrives later lie until its lock runs out. So we
 * ask for quiet ourselves, and have more patience; a client without these would be as it is by itself.
 */
interface Insides {
  _streamingReceiver?: { link?: QuietLink }
}

interface QuietLink {
  readonly credit: number
  isOpen(): boolean
  drain: boolean
  drainCredit(): void
  once(event: 'receiver_drained', listener: () => void): unknown
}

const drainMs = 1500

/** A session of the client has room for 2048 messages from the oldest that is not settled on; then it stalls in silence. */
const worn = 1500

/**
 * A link that messages come through. Not by `receiveMessages`, which waits a second for company once the first has come: by
 * `subscribe`, each message is handed over as it arrives, and asks for the next when it is done.
 */
export class ServiceBusLink {
  readonly #receiver: ServiceBusReceiver
  readonly #clock: Clock
  readonly #subscription: { close(): Promise<void> }
  /** Messages in our hands, by their number on this link, the oldest first. */
  readonly #held = new Set<number>()
  /** Ends the client's own attempts to attach. */
  readonly #attaching = new AbortController()
  #delivered = 0
  readonly #quiet = Promise.withResolvers<void>()
  #ended: Promise<void> | undefined
  #draining: Promise<void> | undefined
  #onEmpty: () => void = () => {}
  #onArrival: () => void = () => {}

  constructor({ session, queue, concurrency, clock, onMessage, onFault }: LinkOptions) {
    this.#clock = clock
    this.#receiver = session.client.createReceiver(queue, { ...receiverOptions })
    let attached = false
    const handlers: MessageHandlers & Hooks = {
      processMessage: (message) => this.#take(message, onMessage),
      // A failed renewal or settlement is told to whoever asked for it.
      processError: async ({ errorSource, error }) => {
        if (errorSource === 'receive' && !this.#ended) onFault(error)
      },
      preInitialize: async () => {
        if (attached && !this.#ended) onFault(new Error('the link was detached'))
        attached = true
      },
    }
    this.#subscription = this.#receiver.subscribe(handlers, {
      autoCompleteMessages: false,
      maxConcurrentCalls: concurrency,
      abortSignal: this.#attaching.signal,
    })
  }

  /** Resolves when nothing comes any more. */
  get quiet(): Promise<void> {
    return this.#quiet.promise
  }

  get delivered(): number {
    return this.#delivered
  }

  /** An old message among very many others blocks its session soon: time for a new link. */
  get worn(): boolean {
    const [oldest = this.#delivered] = this.#held
    return this.#delivered - oldest > worn
  }

  /** Nothing new comes; once all that came is out of our hands, the link ends. Of a broken one nothing is waited for. */
  end(how: 'whole' | 'broken'): Promise<void> {
    this.#ended ??= this.#end(how)
    return this.#ended
  }

  /** For messages that were given back: their handlers are not waited for. */
  letGo(): void {
    this.#held.clear()
    this.#onEmpty()
  }

  async #end(how: 'whole' | 'broken'): Promise<void> {
    this.#attaching.abort()
    if (how === 'whole') this.#draining = this.#drain()
    await this.#draining
    await this.#subscription.close().finally(this.#quiet.resolve)
    if (this.#held.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve
      })
    }
    await this.#receiver.close()
  }

  /** Resolves when the broker has nothing under way to this link any more; for what came until then there is still time. */
  async #drain(): Promise<void> {
    // Whoever was through right before this asks for another within this tick.
    await new Promise((resolve) => setImmediate(resolve))
    const link = (this.#receiver as Insides)._streamingReceiver?.link
    if (!link?.isOpen() || link.credit === 0) return
    const drained = Promise.withResolvers<void>()
    link.once('receiver_drained', drained.resolve)
    // A broker that has used up all credit by then has nothing to answer; what it sent is on its way.
    this.#onArrival = () => {
      if (link.credit === 0) drained.resolve()
    }
    link.drainCredit()
    await within(this.#clock, drainMs, drained.promise).catch(() => {})
    link.drain = false
  }

  async #take(message: ServiceBusReceivedMessage, onMessage: LinkOptions['onMessage']): Promise<void> {
    const number = this.#delivered
    this.#delivered += 1
    this.#held.add(number)
    this.#onArrival()
    await onMessage(message)
    this.#held.delete(number)
    if (this.#held.size === 0) this.#onEmpty()
    // Until it is quiet: whoever is through asks for another.
    await this.#draining
  }
}
