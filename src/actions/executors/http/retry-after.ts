/** A target that asks for more is asked again after an hour all the same. */
export const MAX_RETRY_AFTER_MS = 3_600_000

/** How long a target asks to be left alone (RFC 9110, 10.2.3), an hour at most; undefined when absent or unreadable. */
export function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  if (typeof header !== 'string') return undefined
  const waitMs = /^\s*\d+(\.\d+)?\s*$/.test(header) ? Number(header) * 1000 : untilDate(header, nowMs)
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), MAX_RETRY_AFTER_MS)
}

/** A date has letters: `Date.parse` would take `-1` for one. */
function untilDate(header: string, nowMs: number): number {
  return /[a-z]/i.test(header) ? Date.parse(header) - nowMs : Number.NaN
}
