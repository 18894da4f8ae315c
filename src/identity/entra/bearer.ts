import { ParleyError } from '#errors.ts'
import type { RequestFacts } from '../authenticator.ts'

const SCHEME = /^Bearer +([\w.~+/=-]+) *$/i

/**
 * The credential that the request carries, as `Authorization: Bearer` or, as clients of Azure OpenAI send it, as `api-key`;
 * undefined without either. Throws unauthenticated where there are two, or what is there cannot be one.
 */
export function bearerOf({ headers }: Pick<RequestFacts, 'headers'>): string | undefined {
  const { authorization } = headers
  const apiKey = headers['api-key']
  if (authorization === undefined && apiKey === undefined) return undefined
  const given = authorization === undefined ? String(apiKey) : SCHEME.exec(authorization)?.[1]
  if (!given || (authorization !== undefined && apiKey !== undefined && apiKey !== given)) {
    throw new ParleyError('unauthenticated', {
      message: 'Send one credential, as Authorization: Bearer or as api-key.',
    })
  }
  return given
}
