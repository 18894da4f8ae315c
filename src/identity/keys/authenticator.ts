import type { IncomingHttpHeaders } from 'node:http'
import type { Authenticator } from '../authenticator.ts'
import { bearerOf } from '../entra/bearer.ts'
import type { Keys } from '../keys.ts'
import { looksLikeKey } from './key-text.ts'

export interface KeyAuthenticatorOptions {
  keys: Pick<Keys, 'verify'>
  /** Of who comes without a key. */
  others: Authenticator
  /** What the others are asked of where they come from holds for keys, too: on a machine of one's own, that they come from it. */
  checksOthers: boolean
}

/** Whoever brings a Parley key, as `Authorization: Bearer` or `api-key`; everybody else is left to `others`. */
export function createKeyAuthenticator({ keys, others, checksOthers }: KeyAuthenticatorOptions): Authenticator {
  return {
    authenticate(facts) {
      if (!bringsKey(facts.headers)) return others.authenticate(facts)
      const byKey = () => keys.verify(bearerOf(facts) ?? '')
      return checksOthers ? Promise.resolve(others.authenticate(facts)).then(byKey) : byKey()
    },
  }
}

const BEARER = /^Bearer +/i

function bringsKey({ authorization = '', 'api-key': apiKey = '' }: IncomingHttpHeaders): boolean {
  return looksLikeKey(authorization.replace(BEARER, '')) || looksLikeKey(String(apiKey))
}
