import { ParleyError } from '#errors.ts'
import type { Clock } from '#platform/clock.ts'
import type { SignedIn } from '#platform/entra/entra.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import { type OwnersSeal, opening } from '../owners-seal.ts'
import { type Owner, partitionOf } from '../principal.ts'
import { signInLimits } from '../sign-in.ts'
import { type SessionName, sessionsOf } from './session-name.ts'
import { endSession, endSessions, openSession } from './session-steps.ts'

/** A session at rest: sealed with the key of the person whose it is. */
export interface Kept extends SignedIn {
  openedAt: number
  /** When the authority gave what it rests on. */
  renewedAt: number
  /** When its idle time last began anew. */
  usedAt: number
}

export interface SessionStoreOptions {
  kv: Kv
  sealOf(owner: Owner): Promise<OwnersSeal>
  clock: Clock
}

export interface SessionStore {
  /** Rejects with unauthenticated, and leaves none on, where all of the person were ended since (ms since the epoch). */
  open(name: SessionName, kept: Kept, since: number): Promise<void>
  /** Undefined where there is none, and where the key of its person opens it no longer. */
  read(name: SessionName): Promise<{ kept: Kept; version: number } | undefined>
  /** False where it is no longer as it was at that version. */
  replace(name: SessionName, kept: Kept, version: number): Promise<boolean>
  /** Of that version; false where it has another, or none. */
  drop(name: SessionName, version: number): Promise<boolean>
  end(name: SessionName): Promise<void>
  /** All of a person; resolves with how many there were. */
  endAll(owner: Owner): Promise<number>
}

/** A person who was erased has another key, which opens nothing of before. */
const UNREADABLE: ReadonlySet<string> = new Set(['erased', 'sealed_unreadable'])

/** Sessions, with the live state of the person whose they are. */
export function createSessionStore({ kv, sealOf, clock }: SessionStoreOptions): SessionStore {
  async function sealed(name: SessionName, kept: Kept): Promise<{ value: Buffer; ttlMs: number }> {
    const seal = await sealOf(name.owner)
    const ttlMs = Math.max(1, Math.ceil(endOf(kept) - clock.now()))
    return { value: seal.seal(JSON.stringify(kept), name.at), ttlMs }
  }

  return {
    async open(name, kept, since) {
      const { value, ttlMs } = await sealed(name, kept)
      const { absoluteMs } = signInLimits
      const args = [value, ttlMs, name.name, kept.openedAt, kept.openedAt - absoluteMs, absoluteMs]
      await kv.run(openSession, [name.at, sessionsOf(name.owner)], args)
      const ended = await kv.get(endedKey(name.owner))
      if (!ended || Number(ended.value) < since) return
      await this.end(name)
      throw new ParleyError('unauthenticated', { message: 'All sessions were ended meanwhile; sign in again.' })
    },

    async read(name) {
      const found = await kv.get(name.at)
      if (!found) return undefined
      const seal = await sealOf(name.owner)
      try {
        const kept = await opening(seal, (each) => JSON.parse(each.unseal(found.value, name.at).toString()))
        return { kept, version: found.version }
      } catch (error) {
        if (error instanceof ParleyError && UNREADABLE.has(error.code)) return undefined
        throw error
      }
    },

    async replace(name, kept, version) {
      const { value, ttlMs } = await sealed(name, kept)
      return (await kv.put(name.at, value, { ifVersion: version, ttlMs })) !== undefined
    },

    drop: (name, version) => kv.delete(name.at, { ifVersion: version }),
    end: (name) => kv.run(endSession, [name.at, sessionsOf(name.owner)], [name.name]),

    async endAll(owner) {
      // First: a session that opens meanwhile either is among them, or finds this.
      await kv.put(endedKey(owner), Buffer.from(String(clock.now())), { ttlMs: signInLimits.pendingMs })
      const prefix = key(partitionOf(owner), '')
      for (let all = 0; ; ) {
        const { isAll, ended } = await kv.run(endSessions, [sessionsOf(owner)], [prefix])
        all += ended
        if (isAll) return all
      }
    },
  }
}

function endedKey(owner: Owner): Key {
  return key(partitionOf(owner), 'sessions-ended')
}

/** When it is over, whoever uses it from now on. */
export function endOf({ openedAt, usedAt }: Kept): number {
  return Math.min(usedAt + signInLimits.idleMs, openedAt + signInLimits.absoluteMs)
}
