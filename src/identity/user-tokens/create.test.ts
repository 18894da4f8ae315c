import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { createSeal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import { type EntraClient, SignInNeeded } from '#platform/entra/entra.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { key } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { type Owner, type Principal, partitionOf } from '../principal.ts'
import type { UserTokens } from '../user-tokens.ts'
import { createUserTokens } from './create.ts'

const HOUR = 3_600_000
const ana: Principal = { tenant: 't', id: 'ana', name: 'Ana', kind: 'user', roles: [], scopes: [] }
const ben: Principal = { ...ana, id: 'ben' }

/** Two replicas over one store, and an authority that counts. */
function replicas(t: TestContext) {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  t.after(() => kv.close())
  const keys = new Map<string, Buffer>()
  const erased = new Set<string>()
  const sealOf = async (owner: Owner) => {
    const partition = partitionOf(owner)
    const dataKey = keys.get(partition) ?? randomBytes(32)
    keys.set(partition, dataKey)
    return createSeal(dataKey, { afterErasure: erased.has(partition) })
  }
  const asked: { assertion: string; scope: string; tenant: string }[] = []
  const authority: { refuses: Error | undefined; lastsMs: number; meanwhile: () => Promise<void> } = {
    ...{ refuses: undefined, lastsMs: HOUR },
    meanwhile: async () => {},
  }
  const entra: Pick<EntraClient, 'onBehalfOf'> = {
    async onBehalfOf(request) {
      asked.push(request)
      await authority.meanwhile()
      if (authority.refuses) throw authority.refuses
      return { token: `for ${request.scope} by ${request.assertion}`, expiresAt: clock.now() + authority.lastsMs }
    },
  }
  /** Resolves once what the user came with is kept. */
  const come = (tokens: UserTokens, user: Principal, token: string) =>
    new Promise<void>((resolve) => {
      const stop = tokens.onUsable(() => {
        stop()
        resolve()
      })
      tokens.seen(user, token, clock.now() + HOUR)
    })
  const open = () => createUserTokens({ entra: entra as EntraClient, kv, sealOf, clock, log })
  return { clock, kv, keys, erased, asked, authority, lines, come, one: open(), other: open() }
}

test('a token is asked for with what the user came with, and kept for the next one, on every replica', async (t) => {
  const { one, other, asked, come } = replicas(t)
  await come(one, ana, 'a1')
  assert.equal(await one.tokenFor(ana, 'api://desk/.default'), 'for api://desk/.default by a1')
  assert.equal(await other.tokenFor(ana, 'api://desk/.default'), 'for api://desk/.default by a1')
  assert.deepEqual(asked, [{ tenant: 't', assertion: 'a1', scope: 'api://desk/.default' }])
  await other.tokenFor(ana, 'api://pay/.default')
  assert.equal(asked.length, 2)
})

test('who was not here, or not lately, has to come back', async (t) => {
  const { one, clock, come } = replicas(t)
  await assert.rejects(one.tokenFor(ana, 's'), SignInNeeded)
  await come(one, ben, 'b1')
  await assert.rejects(one.tokenFor(ana, 's'), SignInNeeded)
  clock.advance(HOUR - 2 * 60_000)
  await assert.rejects(one.tokenFor(ben, 's'), SignInNeeded)
  await come(one, ben, 'b2')
  assert.equal(await one.tokenFor(ben, 's'), 'for s by b2')
})

test('one that is about to end is not handed out', async (t) => {
  const { one, clock, asked, authority, come } = replicas(t)
  authority.lastsMs = 10 * 60_000
  await come(one, ana, 'a1')
  await one.tokenFor(ana, 's')
  clock.advance(7 * 60_000)
  await one.tokenFor(ana, 's')
  assert.equal(asked.length, 1)
  clock.advance(60_001)
  await one.tokenFor(ana, 's')
  assert.equal(asked.length, 2)
})

test('who asks at once asks once', async (t) => {
  const { one, asked, come } = replicas(t)
  await come(one, ana, 'a1')
  const tokens = await Promise.all(Array.from({ length: 20 }, () => one.tokenFor(ana, 's')))
  assert.equal(new Set(tokens).size, 1)
  assert.equal(asked.length, 1)
})

test('a refusal is not kept: the next one asks again', async (t) => {
  const { one, authority, come } = replicas(t)
  await come(one, ana, 'a1')
  authority.refuses = new SignInNeeded('disabled')
  await assert.rejects(one.tokenFor(ana, 's'), SignInNeeded)
  authority.refuses = new ParleyError('identity_unavailable')
  await assert.rejects(one.tokenFor(ana, 's'), { code: 'identity_unavailable' })
  authority.refuses = undefined
  assert.equal(await one.tokenFor(ana, 's'), 'for s by a1')
})

test('each new token of a user is told of once, when it can be used', async (t) => {
  const { one, clock, come } = replicas(t)
  const heard: Owner[] = []
  const stop = one.onUsable((user) => void heard.push(user))
  for (let time = 0; time < 3; time++) one.seen(ana, 'a1', clock.now() + HOUR)
  await come(one, ana, 'a2')
  assert.deepEqual(heard, [
    { tenant: 't', id: 'ana' },
    { tenant: 't', id: 'ana' },
  ])
  stop()
  assert.equal(await one.tokenFor(ana, 's'), 'for s by a2')
  await come(one, ana, 'a3')
  assert.equal(heard.length, 2)
})

test('a user is told of when the authority gives what it refused before, with the same token', async (t) => {
  const { one, authority, come } = replicas(t)
  await come(one, ana, 'a1')
  const heard: Owner[] = []
  one.onUsable((user) => void heard.push(user))
  authority.refuses = new SignInNeeded('consent_required')
  await assert.rejects(one.tokenFor(ana, 's'), SignInNeeded)
  assert.deepEqual(heard, [])
  authority.refuses = undefined
  await one.tokenFor(ana, 's')
  await one.tokenFor(ana, 's')
  assert.deepEqual(heard, [ana], 'once: the second was kept')
})

test('nothing of it is kept in the clear, and it goes with the key of its owner', async (t) => {
  const { one, kv, keys, erased, lines, come } = replicas(t)
  const marked = `secret-${randomUUID()}`
  await come(one, ana, marked)
  await one.tokenFor(ana, 's')
  const kept = await kv.get(key(partitionOf(ana), 'lent-token'))
  assert.ok(kept && !kept.value.includes(marked))
  keys.clear()
  await assert.rejects(one.tokenFor(ana, 's'), { code: 'sealed_unreadable' })
  erased.add(partitionOf(ana))
  await assert.rejects(one.tokenFor(ana, 's'), SignInNeeded)
  assert.ok(!JSON.stringify(lines).includes(marked))
})

test('of several that a user has lent, the one that lasts longest is used, whichever came last', async (t) => {
  const { one, other, clock, come, asked } = replicas(t)
  await come(one, ana, 'long')
  await new Promise<void>((resolve) => {
    other.onUsable(() => resolve())
    other.seen(ana, 'short', clock.now() + HOUR - 1)
  })
  await one.tokenFor(ana, 's')
  assert.equal(asked.at(-1)?.assertion, 'long')
})

test('one that the authority refuses makes way for any other', async (t) => {
  const { one, clock, come, authority, asked } = replicas(t)
  await come(one, ana, 'long')
  authority.refuses = new SignInNeeded('revoked')
  await assert.rejects(one.tokenFor(ana, 's'), SignInNeeded)
  authority.refuses = undefined
  await new Promise<void>((resolve) => {
    one.onUsable(() => resolve())
    one.seen(ana, 'short', clock.now() + HOUR / 2)
  })
  await one.tokenFor(ana, 's')
  assert.equal(asked.at(-1)?.assertion, 'short')
})

test('what is forgotten is used no more, on any replica, nor what was had for it; a new one is', async (t) => {
  const { one, other, clock, come } = replicas(t)
  await come(one, ana, 'a1')
  await one.tokenFor(ana, 's')
  await other.forget(ana)
  await assert.rejects(one.tokenFor(ana, 's'), SignInNeeded)
  await assert.rejects(other.tokenFor(ana, 'other'), SignInNeeded)
  clock.advance(1)
  await come(one, ana, 'a2')
  assert.equal(await other.tokenFor(ana, 's'), 'for s by a2')
})

test('what is lent by who does not know yet that it is to be forgotten is forgotten as well', async (t) => {
  const { one, other, clock, come } = replicas(t)
  await other.forget(ana, 1000)
  clock.advance(1000)
  await come(one, ana, 'a1')
  await assert.rejects(one.tokenFor(ana, 's'), SignInNeeded)
  clock.advance(1)
  await come(one, ana, 'a1')
  assert.equal(await other.tokenFor(ana, 's'), 'for s by a1')
})

test('what is had for a token that is forgotten meanwhile is used no more', async (t) => {
  const { one, other, clock, come, asked, authority } = replicas(t)
  await come(one, ana, 'a1')
  authority.meanwhile = async () => {
    clock.advance(1)
    await other.forget(ana)
    clock.advance(1)
  }
  await one.tokenFor(ana, 's')
  await assert.rejects(one.tokenFor(ana, 's'), SignInNeeded)
  await assert.rejects(other.tokenFor(ana, 's'), SignInNeeded)
  assert.equal(asked.length, 1)
})
