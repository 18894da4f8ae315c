/**
 * How long somebody asks to be left alone, ms: `retry-after` in seconds or as a date (RFC 9110, 10.2.3). Neither clamped nor
 * rounded; undefined when absent or unreadable.
 */
export function readRetryAfter(header: string | readonly string[] | undefined, nowMs: number): number | undefined {
  if (typeof header !== 'string') return undefined
  const seconds = readDuration(header)
  if (seconds !== undefined) return seconds * 1000
  // A date has letters: `Date.parse` would take `-1` for one.
  const date = /[a-z]/i.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}

/** A number without a sign; undefined for anything else. */
export function readDuration(header: string | readonly string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(header) ? Number(header) : undefined
}
