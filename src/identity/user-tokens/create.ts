import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type EntraClient, type EntraToken, SignInNeeded } from '#platform/entra/entra.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import { type OwnersSeal, opening } from '../owners-seal.ts'
import { type Owner, partitionOf } from '../principal.ts'
import type { UserTokens } from '../user-tokens.ts'
import { keepToken, yieldToken } from './keep-token.ts'

export interface UserTokensOptions {
  entra: EntraClient
  kv: Kv
  sealOf(owner: Owner): Promise<OwnersSeal>
  clock: Clock
  log: Log
}

interface Kept {
  token: string
  /** ms since the epoch, as the one below. */
  expiresAt: number
  keptAt: number
}

/** What is left to a token that is handed out: enough for an action, and for clocks that differ. */
const LASTS_MS = 2 * 60_000
/** No token that was kept before lasts longer. */
const FORGOTTEN_MS = 24 * 3_600_000
const KNOWN_TOKENS = 10_000

/** Keeps what it is lent, and what it was given for it, sealed in the live state, and no longer than it is valid. */
export function createUserTokens({ entra, kv, sealOf, clock, log }: UserTokensOptions): UserTokens {
  const known = new LRUCache<string, true>({ max: KNOWN_TOKENS })
  const asking = new Map<string, Promise<string>>()
  const listeners = new Set<(user: Owner) => void>()

  /** Unless what is kept there lasts longer: of several the user has, and of what several replicas ask for. */
  async function keep(owner: Owner, at: Key, { token, expiresAt }: EntraToken, keptAt: number): Promise<void> {
    const ttlMs = Math.floor(expiresAt - clock.now())
    if (ttlMs <= 0) return
    const kept: Kept = { token, expiresAt, keptAt }
    const seal = await sealOf(owner)
    await kv.run(keepToken, [at], [seal.seal(JSON.stringify(kept), at), Math.floor(expiresAt), ttlMs])
  }

  /** False where it is forgotten already: lent again, later, it may count. */
  async function lend(owner: Owner, lent: EntraToken): Promise<boolean> {
    const keptAt = clock.now()
    await keep(owner, lentKey(owner), lent, keptAt)
    return keptAt > (await forgottenAt(owner))
  }

  async function recall(owner: Owner, at: Key): Promise<(Kept & { sealed: Buffer }) | undefined> {
    const found = await kv.get(at)
    if (!found) return undefined
    const kept = await opened(await sealOf(owner), found.value, at)
    return kept && kept.expiresAt - clock.now() > LASTS_MS ? { ...kept, sealed: found.value } : undefined
  }

  /** What is there from before was forgotten. */
  async function forgottenAt(owner: Owner): Promise<number> {
    const found = await kv.get(forgottenKey(owner))
    return found ? Number(found.value) : Number.NEGATIVE_INFINITY
  }

  async function exchange(owner: Owner, lent: Kept & { sealed: Buffer }, scope: string): Promise<EntraToken> {
    try {
      return await entra.onBehalfOf({ tenant: owner.tenant, assertion: lent.token, scope })
    } catch (error) {
      if (error instanceof SignInNeeded) await kv.run(yieldToken, [lentKey(owner)], [lent.sealed])
      throw error
    }
  }

  async function ask(owner: Owner, scope: string): Promise<string> {
    const [lentAt, givenAt] = [lentKey(owner), givenKey(owner, scope)]
    const [given, forgotten] = await Promise.all([recall(owner, givenAt), forgottenAt(owner)])
    if (given && given.keptAt > forgotten) return given.token
    const lent = await recall(owner, lentAt)
    if (!lent || lent.keptAt <= forgotten) throw new SignInNeeded('The user has not been here lately.')
    const fresh = await exchange(owner, lent, scope)
    // As old as what it was given for: what the user has us forget meanwhile takes it along.
    await keep(owner, givenAt, fresh, lent.keptAt)
    // The authority may have refused until now: a consent that was missing tells nobody when it is given.
    tell(owner)
    return fresh.token
  }

  function tell(owner: Owner): void {
    for (const listener of listeners) listener(owner)
  }

  return {
    seen({ tenant, id }, token, until) {
      const digest = hash('sha256', token, 'base64url')
      if (known.has(digest)) return
      known.set(digest, true)
      const owner = { tenant, id }
      lend(owner, { token, expiresAt: until }).then(
        (counts) => {
          if (!counts) known.delete(digest)
          tell(owner)
        },
        (error) => {
          known.delete(digest)
          log.warn({ err: error }, 'What a user lends us could not be kept')
        },
      )
    },

    tokenFor(owner, scope) {
      const what = `${partitionOf(owner)} ${scope}`
      const under = asking.get(what)
      if (under) return under
      const asked = ask(owner, scope).finally(() => asking.delete(what))
      asking.set(what, asked)
      return asked
    },

    async forget(owner, graceMs = 0) {
      await kv.put(forgottenKey(owner), Buffer.from(String(clock.now() + graceMs)), { ttlMs: FORGOTTEN_MS })
      await kv.delete(lentKey(owner))
    },

    onUsable(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** Nothing of a user who was erased since. */
async function opened(seal: OwnersSeal, sealed: Uint8Array, at: Key): Promise<Kept | undefined> {
  try {
    return await opening(seal, (each) => JSON.parse(each.unseal(sealed, at).toString()))
  } catch (error) {
    if (error instanceof ParleyError && error.code === 'erased') return undefined
    throw error
  }
}

function lentKey(owner: Owner): Key {
  return key(partitionOf(owner), 'lent-token')
}

function forgottenKey(owner: Owner): Key {
  return key(partitionOf(owner), 'tokens-forgotten')
}

function givenKey(owner: Owner, scope: string): Key {
  return key(partitionOf(owner), `given-token:${hash('sha256', scope, 'base64url')}`)
}
