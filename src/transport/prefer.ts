import type { FastifyRequest } from 'fastify'

const RESPOND_ASYNC = /(?:^|,)\s*respond-async\s*(?:[,;]|$)/i
const WAIT = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[,;]|$)/i

/** Preferences of the caller (RFC 7240), which are granted as far as they can be. */
export function prefersNotToWait({ headers }: FastifyRequest): boolean {
  return RESPOND_ASYNC.test(String(headers.prefer ?? ''))
}

/** How many seconds the caller would wait, at most `mostMs`; undefined when it does not say. */
export function preferredWait({ headers }: FastifyRequest, mostMs: number): number | undefined {
  const seconds = WAIT.exec(String(headers.prefer ?? ''))?.[1]
  return seconds === undefined ? undefined : Math.min(Number(seconds), Math.floor(mostMs / 1000))
}
