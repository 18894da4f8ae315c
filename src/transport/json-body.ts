import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ParleyError } from '#errors.ts'
import { isTooDeep, MOST_DEEP } from './json-depth.ts'
import { jsonFaultAt } from './json-fault.ts'

type Done = (error: Error | null, body?: unknown) => void

/**
 * The only bodies are JSON in UTF-8. Bytes that are not UTF-8 are refused, never replaced; so are keys that would reach
 * for a prototype. An empty body is no body.
 */
export function acceptJsonOnly(server: FastifyInstance, types: readonly string[] = ['application/json']): void {
  const parse = server.getDefaultJsonParser('error', 'error')
  server.removeAllContentTypeParsers()
  server.addContentTypeParser([...types], { parseAs: 'buffer' }, (request, body, done: Done) => {
    if (isEncodedOtherwise(request)) return done(new ParleyError('unsupported_media_type'))
    if (body.length === 0) return done(null, undefined)
    if (!isUtf8(body as Buffer)) return done(new ParleyError('bad_json', { message: 'The body is not valid UTF-8.' }))
    const text = (body as Buffer).toString('utf8')
    if (isTooDeep(text)) return done(tooDeep())
    void parse(request, text, (error, value) => (error ? done(refusal(text)) : done(null, value)))
  })
}

/** Compressed, or in another charset. */
export function isEncodedOtherwise({ headers }: FastifyRequest): boolean {
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') return true
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(headers['content-type'] ?? '')?.[1]
  return charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)
}

function tooDeep(): ParleyError {
  return new ParleyError('invalid_request', { message: `The body is nested deeper than ${MOST_DEEP}.` })
}

function refusal(text: string): ParleyError {
  const at = jsonFaultAt(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text)
  if (at === undefined) {
    return new ParleyError('invalid_request', { message: 'The body uses a key that is reserved (`__proto__`).' })
  }
  return new ParleyError('bad_json', { message: `The body is not valid JSON at position ${at}.` })
}
