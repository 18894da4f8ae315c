import type { MessageHandlers, ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus'
import { receiverOptions, type Session } from './service-bus-session.ts'

export interface LinkOptions {
  session: Session
  queue: string
  concurrency: number
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

/** A session of the client has room for 2048 messages from the oldest that is not settled on; then it stalls in silence. */
const worn = 1500

/**
 * A link that messages come through. Not by `receiveMessages`, which waits a second for company once the first has come: by
 * `subscribe`, each message is handed over as it arrives, and asks for the next when it is done.
 */
export class ServiceBusLink {
  readonly #receiver: ServiceBusReceiver
  readonly #subscription: { close(): Promise<void> }
  /** Messages in our hands, by their number on this link, the oldest first. */
  readonly #held = new Set<number>()
  /** Ends the client's own attempts to attach. */
  readonly #attaching = new AbortController()
  #delivered = 0
  readonly #quiet = Promise.withResolvers<void>()
  #ended: Promise<void> | undefined
  #onEmpty: () => void = () => {}

  constructor({ session, queue, concurrency, onMessage, onFault }: LinkOptions) {
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

  /** Nothing new comes; once all that came is out of our hands, the link ends. */
  end(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  /** For messages that were given back: their handlers are not waited for. */
  letGo(): void {
    this.#held.clear()
    this.#onEmpty()
  }

  async #end(): Promise<void> {
    this.#attaching.abort()
    await this.#subscription.close().finally(this.#quiet.resolve)
    if (this.#held.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve
      })
    }
    await this.#receiver.close()
  }

  async #take(message: ServiceBusReceivedMessage, onMessage: LinkOptions['onMessage']): Promise<void> {
    const number = this.#delivered
    this.#delivered += 1
    this.#held.add(number)
    await onMessage(message)
    this.#held.delete(number)
    if (this.#held.size === 0) this.#onEmpty()
  }
}
