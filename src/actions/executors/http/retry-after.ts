import { readRetryAfter } from '#platform/retry-after.ts'

/** A target that asks for more is asked again after an hour all the same. */
export const MAX_RETRY_AFTER_MS = 3_600_000

/** How long a target asks to be left alone, an hour at most; undefined when absent or unreadable. */
export function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const waitMs = readRetryAfter(header, nowMs)
  return waitMs === undefined ? undefined : Math.min(waitMs, MAX_RETRY_AFTER_MS)
}
