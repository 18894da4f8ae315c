import type { Clock } from '#platform/clock.ts'

/** How often streams are moved on: often enough to look like a stream, seldom enough for thousands of them. */
const TICK_MS = 15

export interface Paced {
  /** Does what is due by now; false when there is nothing left to do. */
  advance(nowMs: number): boolean
}

/** One timer for all streams: each tick moves every one of them on. */
export function createPacer(clock: Clock): { add(stream: Paced): void; stop(): void } {
  const streams = new Set<Paced>()
  let cancel: (() => void) | undefined

  const tick = () => {
    cancel = undefined
    const now = clock.monotonic()
    for (const stream of streams) if (!stream.advance(now)) streams.delete(stream)
    if (streams.size > 0) cancel ??= clock.after(TICK_MS, tick)
  }

  return {
    add: (stream) => {
      streams.add(stream)
      cancel ??= clock.after(streams.size === 1 ? 0 : TICK_MS, tick)
    },
    stop: () => {
      streams.clear()
      cancel?.()
      cancel = undefined
    },
  }
}
