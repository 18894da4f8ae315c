import { performance } from 'node:perf_hooks'
import type { Clock } from '#platform/clock.ts'

/** Of the time, that the event loop was at work: above it, the turns that are served need what is left. */
const BUSY_SHARE = 0.7
/** Looked at more often, it says the same. */
const WINDOW_MS = 500

type Usage = Pick<ReturnType<typeof performance.eventLoopUtilization>, 'idle' | 'active'>

/** Whether this replica has enough to do, by what its event loop did since it was last asked. */
export function createLoadGauge(
  clock: Clock,
  usage: () => Usage = () => performance.eventLoopUtilization(),
): () => boolean {
  let before = usage()
  let lookedAtMs = clock.monotonic()
  let isLoaded = false
  return () => {
    if (clock.monotonic() - lookedAtMs < WINDOW_MS) return isLoaded
    const now = usage()
    const active = now.active - before.active
    isLoaded = active > BUSY_SHARE * (active + now.idle - before.idle)
    before = now
    lookedAtMs = clock.monotonic()
    return isLoaded
  }
}
