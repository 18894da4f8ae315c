import { readDuration, readRetryAfter } from '#platform/retry-after.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** How long a provider asks to be left alone: `retry-after-ms`, or `retry-after`; undefined when absent or unreadable. */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  return readDuration(headers['retry-after-ms']) ?? readRetryAfter(headers['retry-after'], nowMs)
}
