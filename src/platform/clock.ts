/** Time as the domain sees it; tests hand in one they turn by hand. */
export interface Clock {
  /** Wall clock, ms since the epoch. */
  now(): number
  /** Monotonic, ms with fractions; for durations. */
  monotonic(): number
  /** Runs `task` once after `delayMs`; call the result to call it off. */
  after(delayMs: number, task: () => void): () => void
}

/** From so late on, a process was held up. */
const HELD_UP_MS = 50

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs, task) => {
    const dueAt = performance.now() + delayMs
    let afterReading: NodeJS.Immediate | undefined
    const timer = setTimeout(() => {
      if (performance.now() - dueAt < HELD_UP_MS) return task()
      // What came while the process was held up is read first: a limit must not take it that nothing did.
      afterReading = setImmediate(task)
    }, delayMs)
    return () => {
      clearTimeout(timer)
      clearImmediate(afterReading)
    }
  },
}

/** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      cancel()
      reject(signal?.reason)
    }
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
