import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type DeadLetter, type Queue, queueLimits } from '#platform/queue/queue.ts'
import { readMessage } from './sending.ts'

type Letters = Pick<Queue, 'reachable' | 'deadLetters' | 'removeDeadLetters'>

export interface GivenUpOptions {
  queue: Letters
  clock: Clock
  log: Log
  /** From 0 to 1, so that replicas do not look in step. */
  random?: () => number
}

const EVERY_MS = 60_000
const PAGES_PER_LOOK = 20

/**
 * Messages that the broker gave up. Those of runs are taken out, for their rows see to what becomes of them, and what nobody
 * takes out fills the queue until it takes no more. Any other is told of once, and stays for a person to look at; 2,000 of those
 * hide none of ours. Resolves with the ids that stay.
 */
export async function lookAtGivenUp(queue: Letters, log: Log, known: ReadonlySet<string>): Promise<Set<string>> {
  const staying = new Set<string>()
  for (let page = 0, skip = 0; page < PAGES_PER_LOOK; page++) {
    const letters = await queue.deadLetters(queueLimits.deadLettersPerCall, skip)
    const others = await sortOut(letters, queue, log, known)
    for (const { id } of others) staying.add(id)
    skip += others.length
    if (letters.length < queueLimits.deadLettersPerCall) break
  }
  return staying
}

/** Those that are not ours. */
async function sortOut(
  letters: readonly DeadLetter[],
  queue: Letters,
  log: Log,
  known: ReadonlySet<string>,
): Promise<DeadLetter[]> {
  const [ours, others] = [letters.filter(isOurs), letters.filter((letter) => !isOurs(letter))]
  if (ours.length > 0) {
    const removed = await queue.removeDeadLetters(ours.map(({ id }) => id))
    const reasons = [...new Set(ours.map(({ reason }) => reason))]
    log.warn(
      { messages: removed.filter(Boolean).length, reasons },
      'Messages of runs that the broker gave up were taken out',
    )
  }
  for (const { id, reason, deliveryCount, enqueuedAt } of others) {
    if (known.has(id)) continue
    log.error(
      { message: id, reason, deliveryCount, enqueuedAt },
      'A message that names no run lies among the dead letters',
    )
  }
  return others
}

/** What lies among the broker's dead letters, as far as one look goes; nothing is known of it while the broker is away. */
export async function readGivenUp(
  queue: Pick<Queue, 'reachable' | 'deadLetters'>,
  now: number,
): Promise<{ count: number; oldestAgeMs: number }[]> {
  if (!queue.reachable) return []
  const letters = await queue.deadLetters(queueLimits.deadLettersPerCall)
  const since = letters.reduce((oldest, { enqueuedAt }) => Math.min(oldest, enqueuedAt), now)
  return [{ count: letters.length, oldestAgeMs: now - since }]
}

function isOurs({ body }: { body: string }): boolean {
  return readMessage(body) !== undefined
}

/** Looks every minute; the result ends it. */
export function lookAfterGivenUp({ queue, clock, log, random = Math.random }: GivenUpOptions): () => Promise<void> {
  let known: ReadonlySet<string> = new Set()
  let looking: Promise<void> = Promise.resolve()
  let stopped = false
  let stopTimer = clock.after(EVERY_MS * random(), look)

  function look(): void {
    looking = lookOnce().finally(() => {
      if (!stopped) stopTimer = clock.after(EVERY_MS, look)
    })
  }

  async function lookOnce(): Promise<void> {
    if (!queue.reachable) return
    try {
      known = await lookAtGivenUp(queue, log, known)
    } catch (error) {
      log.warn({ err: error }, 'Messages that the broker gave up could not be looked at')
    }
  }

  return async () => {
    stopped = true
    stopTimer()
    await looking
  }
}
