import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { createSeal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import type { SignedIn } from '#platform/entra/entra.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { newSessionName, type SessionName } from './session-name.ts'
import { createSessionStore } from './session-store.ts'
import { Sessions } from './sessions.ts'

const HOUR = 3_600_000
const owner = { tenant: 't', id: 'ana' }

/** Two replicas whose renewals the test answers one by one, and what is kept in the end. */
async function site(t: TestContext) {
  const clock = manualClock()
  const { log } = capturedLog()
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  t.after(() => kv.close())
  const seal = createSeal(randomBytes(32))
  const sealOf = async () => seal
  const asked: PromiseWithResolvers<SignedIn>[] = []
  let onAsked = () => {}
  const entra = {
    renew() {
      const answer = Promise.withResolvers<SignedIn>()
      asked.push(answer)
      onAsked()
      return answer.promise
    },
  }
  const during = { verify: () => {} }
  const tokens = {
    async verify(token: string) {
      during.verify()
      return { principal: { ...owner, name: token, kind: 'user' as const, roles: [], scopes: [] } }
    },
  }
  const open = () => new Sessions({ entra, tokens, userTokens: { seen: () => {} }, kv, sealOf, clock, log })
  const issue = (refreshToken: string, lastsMs = HOUR): SignedIn => {
    return { token: refreshToken, expiresAt: clock.now() + lastsMs, account: 'a', cache: refreshToken }
  }
  const name = newSessionName(owner)
  const [one, other] = [open(), open()]
  await one.open(name, issue('r0'))
  const store = createSessionStore({ kv, sealOf, clock })
  /** The `n`th renewal has been asked for. */
  const renewal = async (n: number) => {
    while (asked.length < n) await new Promise<void>((resolve) => (onAsked = resolve))
    const answer = asked[n - 1]
    assert.ok(answer)
    return answer
  }
  const kept = async (of: SessionName = name) => (await store.read(of))?.kept.cache
  return { clock, during, one, other, name, issue, renewal, kept, asked, store }
}

for (const firstWrites of ['earlier', 'later'] as const) {
  test(`of two renewals at once the later is kept, when the ${firstWrites} one is written first`, async (t) => {
    const { clock, one, other, name, issue, renewal, kept } = await site(t)
    clock.advance(56 * 60_000)
    const both = [one.identify(name.cookie), other.identify(name.cookie)]
    const [first, second] = [await renewal(1), await renewal(2)]
    // A newer one may well end before one that was given earlier: Entra draws how long each lasts.
    if (firstWrites === 'earlier') {
      first.resolve(issue('r1', 2 * HOUR))
      await both[0]
      clock.advance(1000)
      second.resolve(issue('r2'))
      await both[1]
    } else {
      const early = issue('r1', 2 * HOUR)
      clock.advance(1000)
      second.resolve(issue('r2'))
      await both[1]
      first.resolve(early)
      await both[0]
    }
    assert.equal(await kept(), firstWrites === 'earlier' ? 'r2' : 'r1', 'what the authority gave last is kept')
  })
}

test('whoever only used a session meanwhile takes no renewal away, in either order', async (t) => {
  const { clock, one, other, name, issue, renewal, kept, store } = await site(t)
  clock.advance(56 * 60_000)
  const renewing = one.identify(name.cookie)
  const answer = await renewal(1)
  const read = await store.read(name)
  assert.ok(read)
  assert.ok(await store.replace(name, { ...read.kept, usedAt: clock.now() }, read.version))
  answer.resolve(issue('r1'))
  assert.equal((await renewing).principal.name, 'r1')
  assert.equal(await kept(), 'r1')
  assert.equal(await store.replace(name, { ...read.kept, usedAt: clock.now() }, read.version), false)
  assert.equal((await other.identify(name.cookie)).principal.name, 'r1')
})

test('a session that is ended while it is renewed is over, and stays so', async (t) => {
  const { clock, one, other, name, issue, renewal, kept } = await site(t)
  clock.advance(56 * 60_000)
  const renewing = one.identify(name.cookie)
  const answer = await renewal(1)
  await other.end(name.cookie)
  answer.resolve(issue('r1'))
  await assert.rejects(renewing, { code: 'unauthenticated' })
  assert.equal(await kept(), undefined)
})

test('requests at once renew once, however long the authority takes', async (t) => {
  const { clock, one, name, issue, renewal, asked } = await site(t)
  clock.advance(56 * 60_000)
  const early = one.identify(name.cookie)
  const answer = await renewal(1)
  clock.advance(5000)
  const late = one.identify(name.cookie)
  answer.resolve(issue('r1'))
  assert.equal(await early, await late)
  assert.equal(asked.length, 1)
})

test('what is known of a session counts from when it was read, not from when it was answered', async (t) => {
  const { clock, one, other, name, during } = await site(t)
  during.verify = () => clock.advance(400)
  await one.identify(name.cookie)
  await other.end(name.cookie)
  clock.advance(600)
  await one.identify(name.cookie)
  clock.advance(1)
  await assert.rejects(one.identify(name.cookie), { code: 'unauthenticated' })
})

test('an authority that is away is not asked again at once, while the token lasts', async (t) => {
  const { clock, one, name, renewal, asked } = await site(t)
  clock.advance(56 * 60_000)
  const during = one.identify(name.cookie)
  ;(await renewal(1)).reject(new ParleyError('identity_unavailable'))
  assert.equal((await during).principal.name, 'r0')
  clock.advance(1001)
  assert.equal((await one.identify(name.cookie)).principal.name, 'r0')
  assert.equal(asked.length, 1)
  clock.advance(30_000)
  const again = one.identify(name.cookie)
  ;(await renewal(2)).reject(new ParleyError('identity_unavailable'))
  await again
})
