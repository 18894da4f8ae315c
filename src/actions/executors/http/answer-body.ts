import type { EgressResponse } from '#platform/egress/egress.ts'

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i
const MAX_DEPTH = 64
const MAX_EXCERPT = 500

/** What a body says: JSON where it calls itself so and is, text otherwise; null when it is empty. */
export function valueOfBody({ headers, body }: Pick<EgressResponse, 'headers' | 'body'>): unknown {
  if (body.length === 0) return null
  const type = headers['content-type']
  const contentType = typeof type === 'string' ? type.trim() : ''
  const text = decode(body, /;\s*charset="?([^\s";]+)/i.exec(contentType)?.[1])
  if (!JSON_TYPE.test(contentType)) return text
  try {
    const value: unknown = JSON.parse(text)
    return isDeeper(value, MAX_DEPTH) ? text : value
  } catch {
    return text
  }
}

/** The target's own words about what is wrong: of JSON its message, of text its beginning, of pages for people nothing. */
export function excerptOf(response: Pick<EgressResponse, 'headers' | 'body'>): string | undefined {
  const value = valueOfBody(response)
  const words = typeof value === 'string' ? value : messageIn(value)
  const line = words?.replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim()
  if (!line || line.startsWith('<')) return undefined
  return line.length <= MAX_EXCERPT ? line : `${line.slice(0, MAX_EXCERPT).toWellFormed()}…`
}

/** As the common shapes of errors say it: `{error: {message}}`, `{message}`, problem details (RFC 9457), `{error}`. */
function messageIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const fields = new Map<string, unknown>(Object.entries(value))
  const found = ['message', 'detail', 'title', 'error_description', 'error', 'errors']
    .map((name) => fields.get(name))
    .find((field) => field !== undefined && field !== null && field !== '')
  if (typeof found === 'string') return found
  const inner = Array.isArray(found) ? found[0] : found
  return typeof inner === 'string' ? inner : messageIn(inner)
}

function decode(body: Buffer, charset = 'utf-8'): string {
  try {
    return new TextDecoder(charset).decode(body)
  } catch {
    return new TextDecoder().decode(body)
  }
}

/** Whoever writes or walks the value later does so recursively. */
function isDeeper(value: unknown, depth: number): boolean {
  let level = [value]
  for (let at = 0; at < depth && level.length > 0; at++) {
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
  return level.length > 0
}
