import type { QueueMessage } from './queue.ts'

/** What an engine can do to a message that it was given under lock; each rejects with `LockLostError` or `queue_unavailable`. */
export interface Lock {
  complete(): Promise<void>
  abandon(): Promise<void>
  deadLetter(reason: string, description: string): Promise<void>
  /** Resolves with the new end of the lock, ms since the epoch. */
  renew(): Promise<number>
}

export interface LockedMessage {
  message: QueueMessage
  deliveryCount: number
  /** Ms since the epoch. */
  lockedUntil: number
  lock: Lock
}
