/** Preloaded into a process whose event loop is watched: answers every message with what it saw since the last one. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

export interface LoopDelay {
  p50Ms: number
  p99Ms: number
  maxMs: number
}

const RESOLUTION_MS = 5

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()
process.on('message', () => {
  // The histogram counts from one look to the next, so its floor is the time between looks.
  const beyond = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  const seen: LoopDelay = {
    p50Ms: beyond(delay.percentile(50)),
    p99Ms: beyond(delay.percentile(99)),
    maxMs: beyond(delay.max),
  }
  delay.reset()
  process.send?.(seen)
})
process.channel?.unref()
