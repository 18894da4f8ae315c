import type { ResponseHeaders } from './exchange.ts'

/** Where a request goes. */
export interface Hop {
  url: URL
  headers: Readonly<Record<string, string>>
}

const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** Says nothing about who asks, and opens nothing: all that another origin gets to see. */
const HARMLESS = new Set(['accept', 'accept-encoding', 'traceparent', 'user-agent'])

/** The hop that a response to GET asks for; undefined when it asks for none, `refused` when it asks for one not to be made. */
export function nextHop({ url, headers }: Hop, status: number, response: ResponseHeaders): Hop | 'refused' | undefined {
  const { location } = response
  if (!REDIRECTS.has(status) || location === undefined) return undefined
  const next = typeof location === 'string' ? URL.parse(location, url.href) : null
  if (!next || (url.protocol === 'https:' && next.protocol !== 'https:')) return 'refused'
  if (next.origin === url.origin) return { url: next, headers }
  return { url: next, headers: Object.fromEntries(Object.entries(headers).filter(([name]) => HARMLESS.has(name))) }
}
