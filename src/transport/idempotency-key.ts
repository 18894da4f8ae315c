import type { FastifyRequest } from 'fastify'
import { ParleyError } from '#errors.ts'

const PRINTABLE = /^[\x20-\x7e]{1,255}$/

/** What makes a repeated request the same request; undefined when the caller gives nothing. */
export function idempotencyKeyOf({ headers }: FastifyRequest): string | undefined {
  const given = headers['idempotency-key']
  if (given === undefined) return undefined
  if (typeof given === 'string' && PRINTABLE.test(given)) return given
  const param = 'idempotency-key'
  throw new ParleyError('invalid_request', { message: '`idempotency-key` takes 1 to 255 printable characters.', param })
}
