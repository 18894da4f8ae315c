import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Archive } from '../archive.ts'

export interface RetentionOptions {
  archive: Pick<Archive, 'prune'>
  clock: Clock
  log: Log
  /** How long the archive keeps what has come to its end. */
  keepMs: number
}

const EVERY_MS = 60 * 60_000
/** Between two steps, so that nobody waits behind a large deletion. */
const STEP_MS = 200

/** Takes what is past its time out of the archive, in small steps, on every replica; the result ends it. */
export function startRetention({ archive, clock, log, keepMs }: RetentionOptions): () => Promise<void> {
  let stopped = false
  let pruning: Promise<void> = Promise.resolve()
  let stopTimer = clock.after(STEP_MS, step)

  function step(): void {
    pruning = archive.prune(clock.now() - keepMs).then(
      (gone) => {
        if (gone > 0) log.info({ turns: gone }, 'Turns past their time were taken out of the archive')
        next(gone > 0 ? STEP_MS : EVERY_MS)
      },
      (error) => {
        log.warn({ err: error }, 'The archive could not be pruned; it is tried again')
        next(EVERY_MS)
      },
    )
  }

  function next(delayMs: number): void {
    if (!stopped) stopTimer = clock.after(delayMs, step)
  }

  return async () => {
    stopped = true
    stopTimer()
    await pruning
  }
}
