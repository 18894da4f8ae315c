import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type EntraClient, SignInNeeded } from '#platform/entra/entra.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import { type Owner, partitionOf } from '../principal.ts'
import type { UserTokens } from '../user-tokens.ts'

/** As `conversations/` seals a person's data: with the key of that person, so that it goes with the person. */
export interface OwnersSeal {
  seal(plain: string, place: string): Buffer
  unseal(sealed: Uint8Array, place: string): Buffer
}

export interface UserTokensOptions {
  entra: EntraClient
  kv: Kv
  sealOf(owner: Owner): Promise<OwnersSeal>
  clock: Clock
  log: Log
}

interface Kept {
  token: string
  /** ms since the epoch. */
  expiresAt: number
}

/** What is left to a token that is handed out: enough for an action, and for clocks that differ. */
const LASTS_MS = 2 * 60_000
const KNOWN_TOKENS = 10_000

/** Keeps what it is lent, and what it was given for it, sealed in the live state, and no longer than it is valid. */
export function createUserTokens({ entra, kv, sealOf, clock, log }: UserTokensOptions): UserTokens {
  const known = new LRUCache<string, true>({ max: KNOWN_TOKENS })
  const asking = new Map<string, Promise<string>>()
  const listeners = new Set<(user: Owner) => void>()

  async function keep(owner: Owner, at: Key, kept: Kept): Promise<void> {
    const ttlMs = Math.floor(kept.expiresAt - clock.now())
    if (ttlMs <= 0) return
    const seal = await sealOf(owner)
    await kv.put(at, seal.seal(JSON.stringify(kept), at), { ttlMs })
  }

  async function recall(owner: Owner, at: Key): Promise<Kept | undefined> {
    const found = await kv.get(at)
    if (!found) return undefined
    const seal = await sealOf(owner)
    const kept: Kept = JSON.parse(seal.unseal(found.value, at).toString())
    return kept.expiresAt - clock.now() > LASTS_MS ? kept : undefined
  }

  async function ask(owner: Owner, scope: string): Promise<string> {
    const [lentAt, givenAt] = [lentKey(owner), givenKey(owner, scope)]
    const given = await recall(owner, givenAt)
    if (given) return given.token
    const lent = await recall(owner, lentAt)
    if (!lent) throw new SignInNeeded('The user has not been here lately.')
    const fresh = await entra.onBehalfOf({ tenant: owner.tenant, assertion: lent.token, scope })
    await keep(owner, givenAt, fresh)
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
      keep(owner, lentKey(owner), { token, expiresAt: until }).then(
        () => tell(owner),
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

    onUsable(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function lentKey(owner: Owner): Key {
  return key(partitionOf(owner), 'lent-token')
}

function givenKey(owner: Owner, scope: string): Key {
  return key(partitionOf(owner), `given-token:${hash('sha256', scope, 'base64url')}`)
}
