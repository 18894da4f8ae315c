import { randomUUID } from 'node:crypto'
import type { Message } from 'rhea'
import type { Clock } from '#platform/clock.ts'
import { newLockToken } from './lock-token.ts'
import type { StoredMessage } from './stored-message.ts'

export interface QueueSettings {
  clock: Clock
  lockMs: number
  duplicateWindowMs: number
  /** Infinite for a queue of dead letters. */
  maxDeliveries: number
  /** Something may be taken that could not before. */
  onReady: () => void
  deadLetter: (stored: StoredMessage, reason: string, description: string) => void
}

export interface Lease {
  /** In hex, in the order of a UUID. */
  token: string
  stored: StoredMessage
  lockedUntil: number
  cancel: () => void
}

/** One queue: what is ready, under lock and scheduled, and the ids of the duplicate window. */
export class BrokerQueue {
  readonly #settings: QueueSettings
  readonly #ready: StoredMessage[] = []
  readonly #leases = new Map<string, Lease>()
  readonly #scheduled = new Map<number, { stored: StoredMessage; cancel: () => void }>()
  readonly #seen = new Map<string, number>()
  #lastSequence = 0

  constructor(settings: QueueSettings) {
    this.#settings = settings
  }

  get counts() {
    return { ready: this.#ready.length, locked: this.#leases.size, scheduled: this.#scheduled.size }
  }

  add(content: Message): void {
    const stored = this.#accept(content)
    if (stored) this.#enqueue(stored)
  }

  /** Moves what another queue had, as it was. */
  addStored(stored: StoredMessage): void {
    this.#insert(stored)
    this.#settings.onReady()
  }

  /** Its number; that of a repeated message belongs to nobody. */
  schedule(content: Message, at: number): number {
    const { clock } = this.#settings
    const stored = this.#accept(content)
    if (!stored) return this.#nextSequence()
    const due = () => {
      this.#scheduled.delete(stored.sequence)
      // What becomes active gets a new number, as if it were sent now.
      this.#enqueue({ ...stored, sequence: this.#nextSequence(), enqueuedAt: clock.now() })
    }
    if (at <= clock.now()) due()
    else this.#scheduled.set(stored.sequence, { stored, cancel: clock.after(at - clock.now(), due) })
    return stored.sequence
  }

  /** False for a number that nothing is scheduled under. */
  cancel(sequence: number): boolean {
    this.#scheduled.get(sequence)?.cancel()
    return this.#scheduled.delete(sequence)
  }

  lock(): Lease | undefined {
    const { clock, lockMs } = this.#settings
    const stored = this.#ready.shift()
    if (!stored) return undefined
    const token = newLockToken().toString('hex')
    const expire = () => this.release(token)
    const lease = { token, stored, lockedUntil: clock.now() + lockMs, cancel: clock.after(lockMs, expire) }
    this.#leases.set(token, lease)
    return lease
  }

  /** The new end of the lock; undefined when it was lost. */
  renew(token: string): number | undefined {
    const { clock, lockMs } = this.#settings
    const lease = this.#leases.get(token)
    if (!lease) return undefined
    lease.cancel()
    lease.cancel = clock.after(lockMs, () => this.release(token))
    lease.lockedUntil = clock.now() + lockMs
    return lease.lockedUntil
  }

  complete(token: string): boolean {
    return this.#end(token) !== undefined
  }

  /** The delivery has come back: abandoned, or its lock ran out. */
  release(token: string): boolean {
    const stored = this.#end(token)
    if (!stored) return false
    stored.returned += 1
    if (stored.returned >= this.#settings.maxDeliveries) {
      this.#settings.deadLetter(stored, 'MaxDeliveryCountExceeded', 'Delivered too often without being completed.')
    } else {
      this.#insert(stored)
      this.#settings.onReady()
    }
    return true
  }

  reject(token: string, reason: string, description: string): boolean {
    const stored = this.#end(token)
    if (stored) this.#settings.deadLetter(stored, reason, description)
    return stored !== undefined
  }

  releaseAll(): void {
    for (const token of [...this.#leases.keys()]) this.release(token)
  }

  /** From `sequence` on, those under lock included. */
  peek(sequence: number, count: number): StoredMessage[] {
    const all = [...this.#ready, ...Array.from(this.#leases.values(), ({ stored }) => stored)]
    return all
      .filter((stored) => stored.sequence >= sequence)
      .sort((a, b) => a.sequence - b.sequence)
      .slice(0, count)
  }

  close(): void {
    for (const { cancel } of [...this.#leases.values(), ...this.#scheduled.values()]) cancel()
  }

  #accept(content: Message): StoredMessage | undefined {
    const { clock, duplicateWindowMs } = this.#settings
    const now = clock.now()
    const id = String(content.message_id ?? randomUUID())
    for (const [old, until] of this.#seen) {
      if (until > now) break
      this.#seen.delete(old)
    }
    if (this.#seen.has(id)) return undefined
    this.#seen.set(id, now + duplicateWindowMs)
    content.message_id = id
    return { sequence: this.#nextSequence(), id, content, enqueuedAt: now, returned: 0 }
  }

  #enqueue(stored: StoredMessage): void {
    this.#insert(stored)
    this.#settings.onReady()
  }

  #insert(stored: StoredMessage): void {
    const after = this.#ready.findLastIndex(({ sequence }) => sequence < stored.sequence)
    this.#ready.splice(after + 1, 0, stored)
  }

  #end(token: string): StoredMessage | undefined {
    const lease = this.#leases.get(token)
    lease?.cancel()
    this.#leases.delete(token)
    return lease?.stored
  }

  #nextSequence(): number {
    this.#lastSequence += 1
    return this.#lastSequence
  }
}
