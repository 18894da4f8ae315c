import { type Arguments, argumentOf, fill, namesIn, soleName } from '../../templates/placeholder.ts'
import { CorrectableError } from '../executor.ts'

/** What common servers take as a request line. */
export const MAX_URL_LENGTH = 8192

/** A URL whose path segments and query hold placeholders. */
export interface UrlTemplate {
  /** As it is, without placeholders: what an argument says never decides who is called. */
  origin: URL
  segments: readonly string[]
  /** `name=value`, each. */
  pairs: readonly string[]
}

const PARTS = /^(https?:\/\/[^/?#]+)([^?#]*)(?:\?([^#]*))?$/i

/** The template, or what is wrong with it: a message that goes on from its place. */
export function parseUrl(text: string): UrlTemplate | string {
  if (/[\s\\]|\p{Cc}/u.test(text)) return 'must not contain spaces, control characters or backslashes'
  if (text.includes('#')) return 'must not have a fragment'
  // With an argument behind it, it would make an escape of it.
  if (/%(?![0-9a-f]{2})/i.test(text)) return 'has a "%" that begins no escape'
  const [, base = '', path = '', query = ''] = PARTS.exec(text) ?? []
  if (/[{}]/.test(base) || /^[^/]*\{/.test(text)) {
    return 'must not have placeholders in its scheme, host or port: who is called is not up to arguments'
  }
  const origin = URL.parse(base)
  if (!origin) return 'is not an http(s) address'
  if (origin.username || origin.password) return 'must not carry credentials'
  const segments = path.split('/').slice(1)
  if (segments.some(isDots)) return 'must not have "." or ".." as a segment of its path'
  const literal = [...segments, query].map((part) =>
    namesIn(part).reduce((rest, name) => rest.replace(`{${name}}`, ''), part),
  )
  if (literal.some((part) => /[{}]/.test(part))) return 'has a brace that belongs to no placeholder'
  return { origin, segments, pairs: query === '' ? [] : query.split('&') }
}

/**
 * The URL of one call. An argument is one segment of the path, or a part of one; in the query, what was left out takes its
 * pair with it, and a list that is all of a pair's value repeats the pair. Throws `CorrectableError`.
 */
export function renderUrl({ origin, segments, pairs }: UrlTemplate, args: Arguments): URL {
  const path = segments.map((segment) => renderSegment(segment, args))
  const query = pairs.flatMap((pair) => renderPair(pair, args))
  const text = `${origin.origin}/${path.join('/')}${query.length > 0 ? `?${query.join('&')}` : ''}`
  const url = URL.parse(text)
  if (!url || url.origin !== origin.origin || url.pathname.split('/').length !== Math.max(path.length, 1) + 1) {
    throw new CorrectableError('The arguments make no valid address.')
  }
  if (url.href.length <= MAX_URL_LENGTH) return url
  throw new CorrectableError(`The arguments make an address of more than ${MAX_URL_LENGTH} characters, the limit.`)
}

function renderSegment(segment: string, args: Arguments): string {
  const text = fill(segment, args, (value, name) => {
    if (value === '' || /[/\\]/.test(value)) throw unfit(name)
    return encodeURIComponent(value)
  })
  const [name = ''] = namesIn(segment)
  if (text === undefined || isDots(text)) throw unfit(name)
  return text
}

function unfit(name: string): CorrectableError {
  return new CorrectableError(
    `The argument "${name}" becomes one segment of a path: it must not be empty, contain a slash or backslash, or make "." or "..".`,
  )
}

function renderPair(pair: string, args: Arguments): string[] {
  const name = soleName(pair.slice(pair.indexOf('=') + 1))
  const value = name === undefined ? undefined : argumentOf(args, name)
  const each = name !== undefined && Array.isArray(value) ? value.map((item) => ({ ...args, [name]: item })) : [args]
  return each.map((one) => fill(pair, one, encodeURIComponent)).filter((text) => text !== undefined)
}

/** Those segments that a URL parser takes for "here" and "one up". */
function isDots(segment: string): boolean {
  return /^(\.|%2e){1,2}$/i.test(segment)
}
