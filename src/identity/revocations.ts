import { ParleyError } from '#errors.ts'
import type { Clock } from '#platform/clock.ts'
import type { Identified } from './authenticator.ts'
import type { Withdrawals } from './keys.ts'
import { type Owner, partitionOf } from './principal.ts'

/** Access tokens of a person that were issued before a moment, and are taken no more. */
export interface Revocations {
  /** All that were issued to them until now, and in the next five seconds, on every replica within a second. Rejects with state_unavailable, overloaded. */
  revoke(by: Owner, person: Owner): Promise<void>
  /** What a token says, with word of when it is revoked. Throws unauthenticated where it was. */
  standing(identified: Identified, issuedAt: number): Identified
}

/** Longer than any access token of Entra ID lasts, which is a day at most. */
const REVOKED_FOR_MS = 25 * 3_600_000
/** By how much the clock of an issuer may be ahead of ours: what it dates up to so long after a revocation may be from before. */
const AHEAD_MS = 5000

export function createRevocations(withdrawals: () => Withdrawals, clock: Clock): Revocations {
  function isRevoked(scope: string, issuedAt: number): boolean {
    const revocation = withdrawals().get(scope)
    return revocation !== undefined && issuedAt <= revocation.at + AHEAD_MS
  }

  return {
    async revoke(by, person) {
      const at = clock.now()
      const until = at + REVOKED_FOR_MS
      await withdrawals().set({ scope: scopeOf(person), reason: 'revoked', by: partitionOf(by), at, until })
    },

    standing(identified, issuedAt) {
      const scope = scopeOf(identified.principal)
      if (isRevoked(scope, issuedAt)) throw revoked()
      return {
        ...identified,
        onEnded(listener) {
          let isOver = false
          const look = () => {
            if (isOver || !isRevoked(scope, issuedAt)) return
            stop()
            listener()
          }
          const stopHearing = withdrawals().onChange(look)
          const stop = () => {
            isOver = true
            stopHearing()
          }
          // It may have been revoked since it was taken.
          queueMicrotask(look)
          return stop
        },
      }
    },
  }
}

/** What calls in question who a person's tokens say that they are. */
function scopeOf(person: Owner): string {
  return `person:${partitionOf(person)}`
}

function revoked(): ParleyError {
  return new ParleyError('unauthenticated', {
    message: 'The token was issued before the access of its user was revoked.',
  })
}
