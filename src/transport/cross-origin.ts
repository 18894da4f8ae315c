import type { FastifyReply, FastifyRequest } from 'fastify'
import { ParleyError } from '#errors.ts'
import { isWebSocketHandshake } from './websocket/handshake.ts'

/** What a page may read of an answer beside its body and what browsers show anyway. */
const EXPOSED = [
  ...['x-request-id', 'x-parley-turn', 'x-parley-model', 'x-parley-config', 'x-parley-arm', 'x-should-retry'],
  ...['limit', 'remaining', 'reset'].flatMap((what) => [`x-ratelimit-${what}-requests`, `x-ratelimit-${what}-tokens`]),
  ...['retry-after', 'etag', 'location', 'allow', 'preference-applied', 'content-disposition', 'www-authenticate'],
].join(', ')

/** How long a browser goes by an answer to its question; browsers cut longer times. */
const KNOWN_S = '600'

export interface CrossOrigin {
  /** Names the caller's origin in the answer where it is on the list; before anything is refused, so that a page can read why. */
  mark(request: FastifyRequest, reply: FastifyReply): void
  /** Refuses the handshake of a page that is neither ours nor of an origin on the list: throws cross_site. */
  checkHandshake(request: FastifyRequest): void
  /** True when the request was a browser's question and has been answered. Throws cross_site, not_found. */
  answersQuestion(request: FastifyRequest, reply: FastifyReply, allowed: () => readonly string[]): boolean
}

/**
 * Pages of other origins (the Fetch standard's CORS protocol): those on the list may call with a token, nobody's page with a
 * cookie. A page that is on no list gets no answer that it could read.
 */
export function createCrossOrigin(listed: readonly string[], own: string | undefined): CrossOrigin {
  const origins = new Set(listed)
  return {
    mark({ headers: { origin } }, reply) {
      if (origins.size === 0) return
      // What is kept by caches on the way is kept for each origin by itself.
      reply.header('vary', 'origin')
      if (origin === undefined || !origins.has(origin)) return
      reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', EXPOSED)
    },

    checkHandshake({ raw, headers: { origin, host } }) {
      if (origin === undefined || !isWebSocketHandshake(raw)) return
      const isOurs = origin === own || URL.parse(origin)?.host === host?.toLowerCase()
      if (!isOurs && !origins.has(origin)) throw new ParleyError('cross_site')
    },

    answersQuestion({ method, headers }, reply, allowed) {
      const { origin } = headers
      const isAsked = method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
      if (!isAsked || origin === undefined || origins.size === 0) return false
      if (!origins.has(origin)) throw new ParleyError('cross_site')
      const methods = allowed()
      if (methods.length === 0) throw new ParleyError('not_found')
      void reply
        .code(204)
        .headers({
          vary: 'origin, access-control-request-headers',
          'access-control-allow-methods': methods.join(', '),
          'access-control-max-age': KNOWN_S,
          // Whatever it asks for: clients have headers of their own, and none of them opens anything without a token.
          'access-control-allow-headers': headers['access-control-request-headers'] ?? '',
        })
        .send()
      return true
    },
  }
}

/** Adds to what an answer depends on. */
export function vary(reply: FastifyReply, on: string): void {
  const before = reply.getHeader('vary')
  reply.header('vary', before === undefined ? on : `${before}, ${on}`)
}
