type Headers = Readonly<Record<string, string | string[] | undefined>>

/**
 * How long a provider asks to be left alone: `retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110,
 * 10.2.3). Neither clamped nor rounded; undefined when absent or unreadable.
 */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const exact = nonNegative(headers['retry-after-ms'])
  if (exact !== undefined) return exact
  const header = headers['retry-after']
  const seconds = nonNegative(header)
  if (seconds !== undefined) return seconds * 1000
  const date = typeof header === 'string' && /[a-z]/i.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}

function nonNegative(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(header) ? Number(header) : undefined
}
