import type { Clock } from '#platform/clock.ts'

/** A clock that stands still until it is turned. */
export interface ManualClock extends Clock {
  /** Moves time on; tasks that fall due run in order, each at its own time. */
  advance(ms: number): void
  /** Time goes by and nothing runs, as where a process is held up; what fell due runs late, with the next `advance`. */
  stall(ms: number): void
  /** How many tasks wait. */
  readonly pending: number
}

export function manualClock(startAt = Date.UTC(2026, 0, 5, 12)): ManualClock {
  const tasks = new Set<{ at: number; run: () => void }>()
  let elapsedMs = 0

  function nextUntil(end: number) {
    return [...tasks].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
  }

  return {
    now: () => startAt + elapsedMs,
    monotonic: () => elapsedMs,
    after: (delayMs, run) => {
      const task = { at: elapsedMs + Math.max(delayMs, 0), run }
      tasks.add(task)
      return () => tasks.delete(task)
    },
    advance: (ms) => {
      const end = elapsedMs + ms
      for (let task = nextUntil(end); task; task = nextUntil(end)) {
        tasks.delete(task)
        elapsedMs = Math.max(elapsedMs, task.at)
        task.run()
      }
      elapsedMs = end
    },
    stall: (ms) => {
      elapsedMs += ms
    },
    get pending() {
      return tasks.size
    },
  }
}
