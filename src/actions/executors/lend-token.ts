import { ParleyError } from '#errors.ts'
import type { Owner } from '#identity/principal.ts'
import type { UserTokens } from '#identity/user-tokens.ts'
import { SignInNeeded } from '#platform/entra/entra.ts'
import { IdentityNeeded, PassingError } from './executor.ts'

/** The token of a user for a scope, or why there is none, as an attempt wants to know it. */
export async function lendToken(
  tokens: Pick<UserTokens, 'tokenFor'> | undefined,
  user: Owner,
  scope: string,
): Promise<string> {
  if (!tokens) throw new IdentityNeeded()
  try {
    return await tokens.tokenFor(user, scope)
  } catch (error) {
    if (error instanceof SignInNeeded) throw new IdentityNeeded()
    if (error instanceof ParleyError && error.retryable) {
      throw new PassingError('The identity of the user could not be had.', {
        reason: error.code,
        untouched: true,
        cause: error,
      })
    }
    throw error
  }
}
