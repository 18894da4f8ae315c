import type { IncomingMessage } from 'node:http'
import { ParleyError } from '#errors.ts'
import type { TransportLimits } from './limits.ts'

/** Of these Node takes the first; what stands before us may have gone by the second. */
const ONCE = new Set(['host', 'authorization', 'content-type'])

/** What can be read in two ways, or in none, is not guessed at: throws headers_too_large, invalid_request. */
export function checkHead(message: IncomingMessage, limits: Pick<TransportLimits, 'headerCount'>): void {
  const { rawHeaders, headers, httpVersionMajor, httpVersionMinor, url = '' } = message
  if (rawHeaders.length > 2 * limits.headerCount) throw new ParleyError('headers_too_large')
  // Node's parser takes 2.0 for a version of this protocol, and of 0.9 a request that has headers.
  if (httpVersionMajor !== 1) throw refused('This speaks HTTP/1.1.')
  if (headers.host === undefined && httpVersionMinor > 0) throw refused('The request names no host.')
  const twice = repeated(rawHeaders)
  if (twice !== undefined) throw refused(`The request has two headers ${twice}.`)
  if (!url.startsWith('/') && url !== '*' && URL.parse(url)?.host !== headers.host) {
    throw refused('The request is for another host than it names.')
  }
  if (!hasSoundQuery(url)) throw refused('The query is not percent-encoded UTF-8.')
}

function repeated(rawHeaders: readonly string[]): string | undefined {
  let seen: string[] | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    // Only names of these lengths are looked at closer.
    if (name.length !== 4 && name.length !== 12 && name.length !== 13) continue
    const lower = name.toLowerCase()
    if (!ONCE.has(lower)) continue
    if (seen?.includes(lower)) return lower
    seen ??= []
    seen.push(lower)
  }
  return undefined
}

/** The router would pass on what it cannot decode as it stands. */
function hasSoundQuery(url: string): boolean {
  const at = url.indexOf('?')
  if (at === -1 || !url.includes('%', at)) return true
  try {
    decodeURIComponent(url.slice(at))
    return true
  } catch {
    return false
  }
}

function refused(message: string): ParleyError {
  return new ParleyError('invalid_request', { message })
}
