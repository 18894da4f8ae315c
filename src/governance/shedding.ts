import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { ProcessLoad } from '#platform/process-load.ts'

/** What a replica bears before it takes nothing new; 0 is no limit. */
export interface SheddingLimits {
  /** How late the event loop is, on average over a second. */
  delayMs: number
  heapPercent: number
  memoryPercent: number
}

export interface SheddingOptions {
  limits: SheddingLimits
  read(): ProcessLoad
  /** Frees memory that is not needed any more; takes its time. */
  collect(): void
  clock: Clock
  log: Log
  random?: () => number
}

type Cause = 'event loop' | 'heap' | 'memory'

/** Refuses what is new while there is too much already, so that what is under way ends well and the process lives. */
export interface Shedding {
  /** Undefined while all is well. */
  readonly cause: Cause | undefined
  /** How often something was refused. */
  readonly refused: number
  /** Throws overloaded while there is a cause. */
  check(): void
  close(): void
}

const SAMPLE_MS = 250
const SAMPLES = 4
/** What was too much is over once there is this much less, or each that ends would let just one in. */
const RELEASE = 0.9
/** Between two collections, while memory is what there is too little of. */
const COLLECT_MS = 5000
/** Who was refused comes back at some time in between, not all at once. */
const RETRY_MS = { least: 1000, spread: 4000 }

/** Looks at the process four times a second; `check` costs a comparison. */
export function createShedding({ limits, read, collect, clock, log, random = Math.random }: SheddingOptions): Shedding {
  const lateMs: number[] = []
  let cause: Cause | undefined
  let refused = 0
  let collectedAt = Number.NEGATIVE_INFINITY
  let stop = () => {}

  function exceeded(): Cause | undefined {
    const { heapUsed, heapLimit, residentUsed, residentLimit } = read()
    const delayMs = lateMs.reduce((sum, late) => sum + late, 0) / SAMPLES
    const shares: [Cause, number][] = [
      ['heap', shareOf((heapUsed / heapLimit) * 100, limits.heapPercent)],
      ['memory', shareOf((residentUsed / residentLimit) * 100, limits.memoryPercent)],
      ['event loop', shareOf(delayMs, limits.delayMs)],
    ]
    const most = cause === undefined ? 1 : RELEASE
    return shares.find(([, share]) => share >= most)?.[0]
  }

  function sample(dueAt: number): void {
    const now = clock.monotonic()
    lateMs.push(Math.max(0, now - dueAt))
    if (lateMs.length > SAMPLES) lateMs.shift()
    const found = exceeded()
    if (found && !cause) log.warn({ cause: found }, 'This replica takes nothing new: it has too much to do')
    if (!found && cause) log.info({ refused }, 'This replica takes new work again')
    cause = found
    if ((found === 'heap' || found === 'memory') && now - collectedAt >= COLLECT_MS) {
      collect()
      collectedAt = now
    }
    wait(clock.monotonic())
  }

  function wait(now: number): void {
    stop = clock.after(SAMPLE_MS, () => sample(now + SAMPLE_MS))
  }

  wait(clock.monotonic())
  return {
    get cause() {
      return cause
    },
    get refused() {
      return refused
    },
    check() {
      if (cause === undefined) return
      refused += 1
      throw new ParleyError('overloaded', { retryAfterMs: RETRY_MS.least + random() * RETRY_MS.spread })
    },
    close: () => stop(),
  }
}

function shareOf(value: number, limit: number): number {
  return limit === 0 ? 0 : value / limit
}
