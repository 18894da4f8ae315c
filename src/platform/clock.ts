/** Time as the domain sees it; tests hand in one they turn by hand. */
export interface Clock {
  /** Wall clock, ms since the epoch. */
  now(): number
  /** Monotonic, ms with fractions; for durations. */
  monotonic(): number
  /** Runs `task` once after `delayMs`; call the result to call it off. */
  after(delayMs: number, task: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Whose timers keep no process alive. */
export const idleClock: Clock = {
  ...systemClock,
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs).unref()
    return () => clearTimeout(timer)
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

/**
 * Settles as `work` does, or resolves when that takes longer than `patienceMs` or the signal aborts; `work` itself goes on.
 */
export async function waitPatiently(
  clock: Clock,
  work: Promise<unknown>,
  patienceMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const over = Promise.withResolvers<void>()
  const giveUp = () => over.resolve()
  const cancel = waitAtMost(clock, patienceMs, giveUp)
  signal?.addEventListener('abort', giveUp, { once: true })
  if (signal?.aborted) giveUp()
  try {
    await Promise.race([work, over.promise])
  } finally {
    cancel()
    signal?.removeEventListener('abort', giveUp)
  }
}

/** From so late on, a process was held up. */
export const HELD_UP_MS = 50
const GRACE_MS = 100

/**
 * As `clock.after`, for how long somebody else may take. When the process itself was held up, what came meanwhile has not been
 * read yet: it is, before it is taken that nothing came.
 */
export function waitAtMost(clock: Clock, limitMs: number, onOver: () => void): () => void {
  const overAt = clock.monotonic() + limitMs
  let cancel = clock.after(limitMs, () => {
    if (clock.monotonic() - overAt < HELD_UP_MS) return onOver()
    cancel = clock.after(GRACE_MS, onOver)
  })
  return () => cancel()
}
