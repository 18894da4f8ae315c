/**
 * Wake-ups for work whose truth lies elsewhere: at least once delivered, in no order. Two implementations, Azure Service Bus
 * and SQLite, are held together by `test/contracts/queue.ts`.
 *
 * Every method rejects with `ParleyError` `queue_unavailable` (503, retryable) while the broker is out of reach; programs that
 * break a limit get a `RangeError`.
 */
export interface Queue {
  readonly engine: 'service-bus' | 'sqlite'
  /** False while the broker is known to be out of reach. */
  readonly reachable: boolean

  /** Resolves once all are kept. Calls made within one tick leave in as few batches as limits allow. A repeated id within the duplicate window is swallowed, and succeeds. */
  send(messages: readonly QueueMessage[]): Promise<void>
  /** Like `send`, delivered no earlier than `at` (ms since the epoch). Resolves with a handle for each, in order. */
  schedule(messages: readonly QueueMessage[], at: number): Promise<ScheduledHandle[]>
  /** Calls scheduled messages off; those already delivered, or unknown, are passed over. */
  cancel(handles: readonly ScheduledHandle[]): Promise<void>

  /**
   * Delivers until stopped, at most `concurrency` at once. The handler settles its delivery itself; one that returns without
   * settling, or throws, has it abandoned. Survives lost links and brokers that come back.
   */
  receive(handler: (delivery: Delivery) => Promise<void>, options: ReceiveOptions): Receiver

  /** What was dead-lettered by the broker or by `deadLetter`, oldest first, without the `skip` oldest. Never expires by itself. */
  deadLetters(limit: number, skip?: number): Promise<DeadLetter[]>
  /** Takes dead letters out; true for each that was there. */
  removeDeadLetters(ids: readonly string[]): Promise<boolean[]>

  close(): Promise<void>
}

export const queueLimits = {
  /** Of a body, in bytes of UTF-8. */
  bodyBytes: 64 * 1024,
  idLength: 128,
  /** Messages of one call of `send` or `schedule`. */
  messagesPerCall: 1000,
  /** Dead letters of one call. */
  deadLettersPerCall: 100,
  deadLettersSkipped: 10_000,
} as const

export interface QueueMessage {
  /** Printable ASCII; the duplicate window goes by it. */
  id: string
  body: string
  /** W3C trace context of who sent it. */
  traceparent?: string
}

export type ScheduledHandle = string & { readonly brand: 'scheduled-handle' }

export interface ReceiveOptions {
  concurrency: number
  /** Locks are renewed by themselves for so long after delivery, ms. */
  renewForMs: number
}

export interface Receiver {
  /** Takes nothing new; waits at most `graceMs` for handlers under way, then abandons what they hold. */
  stop(graceMs: number): Promise<void>
}

/** A message under lock. Settling once more, or after the lock was lost, rejects with `LockLostError`. */
export interface Delivery extends QueueMessage {
  /** 1 at the first delivery. */
  readonly deliveryCount: number
  /** Aborts when the lock is known to be lost. */
  readonly signal: AbortSignal
  complete(): Promise<void>
  /** Back to the queue at once. */
  abandon(): Promise<void>
  /** `reason`: a stable code of at most 128 characters; `description`: at most 1024. */
  deadLetter(reason: string, description: string): Promise<void>
}

export interface DeadLetter extends QueueMessage {
  reason: string
  description: string
  deliveryCount: number
  /** When it was sent first, ms since the epoch. */
  enqueuedAt: number
}

/** Somebody else has the message, or will: nothing of this delivery counts any more. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError'

  constructor(cause?: unknown) {
    super('the lock of a message was lost', { cause })
  }
}
