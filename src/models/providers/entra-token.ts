import type { Clock } from '#platform/clock.ts'
import type { TokenSource } from '#platform/credential.ts'

const SCOPE = 'https://cognitiveservices.azure.com/.default'
/** From here on a fresh token is fetched beside the calls, which go on with the old one. */
const RENEW_BEFORE_MS = 5 * 60_000
/** A token that may expire on its way is not sent. */
const UNUSABLE_BEFORE_MS = 30_000

/** Keeps a token for Azure OpenAI at hand, so that a call waits for one only when there is none. */
export function entraToken(tokens: TokenSource, clock: Clock): () => string | Promise<string> {
  let current: { token: string; expiresAt: number } | undefined
  let renewal: Promise<string> | undefined

  const renew = () => {
    renewal ??= tokens
      .token(SCOPE)
      .then((fresh) => {
        current = fresh
        return fresh.token
      })
      .finally(() => {
        renewal = undefined
      })
    return renewal
  }

  return () => {
    const left = current ? current.expiresAt - clock.now() : 0
    if (!current || left < UNUSABLE_BEFORE_MS) return renew()
    // A failure here is met again, and told, by the call that finds the token expired.
    if (left < RENEW_BEFORE_MS) renew().catch(() => {})
    return current.token
  }
}
