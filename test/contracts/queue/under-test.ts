import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Delivery, Queue, QueueMessage, ReceiveOptions, Receiver } from '#platform/queue/queue.ts'

export interface QueueUnderTest extends AsyncDisposable {
  queue: Queue
  /** The broker's time, ms since the epoch. */
  now(): number
  /** Lets time pass for the queue, and for its broker. */
  pass(ms: number): Promise<void>
}

/** How long a delivery is locked, and how often one is made at most, in every queue under test. */
export const lockMs = 30_000
export const maxDeliveries = 10
export const duplicateWindowMs = 10 * 60_000

/** Declares one behaviour; the body gets a queue of its own. A `slow` one lets minutes pass. */
export type Check = (behaviour: string, body: (under: QueueUnderTest) => Promise<void>, pace?: 'slow') => void

export function messageOf(body = 'body'): QueueMessage {
  return { id: randomUUID(), body }
}

export function messages(count: number): QueueMessage[] {
  return Array.from({ length: count }, (_, n) => messageOf(`body ${n}`))
}

export interface Taking {
  /** All that was delivered so far, settled or not. */
  readonly deliveries: Delivery[]
  readonly receiver: Receiver
}

/** Receives with a handler that notes each delivery and then does `work`; by default it completes. */
export function take(
  queue: Queue,
  work: (delivery: Delivery) => Promise<void> = (delivery) => delivery.complete(),
  options: Partial<ReceiveOptions> = {},
): Taking {
  const deliveries: Delivery[] = []
  const handler = async (delivery: Delivery) => {
    deliveries.push(delivery)
    await work(delivery)
  }
  return { deliveries, receiver: queue.receive(handler, { concurrency: 10, renewForMs: 0, ...options }) }
}

/** For what arrives by itself. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > end) assert.fail(`it did not come to pass within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Lets time pass bit by bit until it is so, at most `withinMs` of it. */
export async function passUntil({ pass }: QueueUnderTest, holds: () => boolean, withinMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < withinMs && !holds(); passedMs += 2500) await pass(2500)
  if (!holds()) assert.fail(`it did not come to pass within ${withinMs} ms of the queue's time`)
}

/** What would have arrived by now has. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 60))
}
