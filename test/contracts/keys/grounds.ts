import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { createStops } from '#governance/stops/create.ts'
import type { Identified } from '#identity/authenticator.ts'
import { createKeys } from '#identity/keys/create.ts'
import type { KeyDone, Keys, KeyWish } from '#identity/keys.ts'
import type { Principal } from '#identity/principal.ts'
import { createLog } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { manualClock } from '../../support/clock.ts'

export const wish: KeyWish = { name: 'nightly report', days: 90, chat: ['*'], actions: [], budget: null }
export const DAY_MS = 86_400_000

export function person(
  tenant: string,
  id: string = randomUUID(),
  roles: Principal['roles'] = ['Chat.User'],
): Principal {
  return { tenant, id, name: 'Somebody', kind: 'user', roles, scopes: [] }
}

/** Two replicas over one database and one store, whose time is turned by hand. */
export async function keysAtHand(sql: Sql) {
  const log = createLog('silent')
  const turned = manualClock()
  let leapt = 0
  const clock: Clock = {
    now: () => turned.now() + leapt,
    monotonic: () => turned.monotonic() + leapt,
    after: turned.after,
  }
  const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, clock, log, tokens })
  const done: KeyDone[] = []
  /** `commit`: of the transactions to come, none is done, or none is heard of though it was. */
  const away = { kv: false, sql: false, record: false, commit: undefined as 'undone' | 'unheard' | undefined }
  const asked = { count: 0 }
  const reached: Kv = {
    ...kv,
    get: (at) => (away.kv ? Promise.reject(new ParleyError('state_unavailable')) : kv.get(at)),
    put: (at, value, options) =>
      away.kv ? Promise.reject(new ParleyError('state_unavailable')) : kv.put(at, value, options),
    run: (...asked) => (away.kv ? Promise.reject(new ParleyError('state_unavailable')) : kv.run(...asked)),
  }
  const counted: Sql = {
    ...sql,
    query: (...given) => {
      asked.count += 1
      return away.sql
        ? Promise.reject(new ParleyError('database_unavailable'))
        : sql.query(...(given as [never, never]))
    },
    transaction: async (scope, work) => {
      asked.count += 1
      if (away.sql) throw new ParleyError('database_unavailable')
      const done = await sql.transaction(scope, async (tx) => {
        const result = await work(tx)
        if (away.commit === 'undone') throw new ParleyError('database_unavailable')
        return result
      })
      if (away.commit === 'unheard') throw new ParleyError('database_unavailable')
      return done
    },
  }
  async function replica(has = true, serves = (_tenant: string) => true) {
    const withdrawals = await createStops({ kv: reached, clock, log })
    const keys = createKeys({
      ...{ sql: counted, withdrawals, clock, log },
      hasSql: () => has,
      serves,
      record: async (_, entry) => {
        if (away.record) throw new ParleyError('database_unavailable')
        done.push(entry)
      },
    })
    return { keys, withdrawals }
  }
  const [here, there] = [await replica(), await replica()]
  const settle = async () => {
    for (let turn = 0; turn < 3; turn++) {
      await kv.get(key('nothing', 'there'))
      await setImmediate()
    }
  }
  return {
    ...{ clock, away, asked, done, here: here.keys, there: there.keys, replica },
    /** Time passes, and nobody gets to do anything in it. */
    leap(ms: number) {
      leapt += ms
    },
    /** Time passes as replicas live it: in steps in which they look. */
    async pass(ms: number) {
      for (let left = ms; left > 0; left -= 250) {
        turned.advance(Math.min(left, 250))
        await settle()
      }
    },
    async [Symbol.asyncDispose]() {
      here.withdrawals.close()
      there.withdrawals.close()
      await Promise.all([here.keys.close(), there.keys.close()])
      await kv.close()
    },
  }
}

/** A key's text and what is shown of it. */
export async function made(keys: Keys, by: Principal, more: Partial<KeyWish> = {}) {
  const { view, text } = await keys.create(by, { ...wish, ...more })
  assert.ok(text)
  return { ...view, text }
}

export async function taken(keys: Keys, text: string): Promise<Identified> {
  return keys.verify(text)
}

/** Why a text is not taken. */
export async function refused(keys: Keys, text: string): Promise<string> {
  try {
    await taken(keys, text)
  } catch (error) {
    assert.ok(error instanceof ParleyError)
    return error.code === 'unauthenticated' ? error.message : error.code
  }
  throw new assert.AssertionError({ message: 'The key was taken.' })
}

export function code(expected: string): (error: unknown) => boolean {
  return (error) => error instanceof ParleyError && error.code === expected
}
