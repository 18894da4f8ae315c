import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createSeal } from '#conversations/vault.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { createSignIn } from './create.ts'
import { newSessionName } from './session-name.ts'
import { Sessions } from './sessions.ts'

test('whoever signs out everywhere has no session any more by which a token is lent once it is forgotten', async (t) => {
  const clock = manualClock()
  const { log } = capturedLog()
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  t.after(() => kv.close())
  const seal = createSeal(randomBytes(32))
  const owner = { tenant: 't', id: 'ana' }
  const nobodyAsks = () => assert.fail('the authority is asked nothing')
  const done: string[] = []
  const options = {
    entra: { signInUrl: nobodyAsks, redeem: nobodyAsks, renew: nobodyAsks, onBehalfOf: nobodyAsks },
    tokens: {
      verify: async () => ({ principal: { ...owner, name: 'Ana', kind: 'user' as const, roles: [], scopes: [] } }),
    },
    userTokens: {
      seen: () => void done.push('lent'),
      async forget() {
        done.push('forgotten')
        await assert.rejects(signIn.identify(name.cookie), { code: 'unauthenticated' })
      },
    },
    ...{ tenant: 't', guests: [], publicUrl: 'https://chat.example.com' },
    ...{ kv, sealOf: async () => seal, clock, log },
  }
  const name = newSessionName(owner)
  await new Sessions(options).open(name, { token: 'a', expiresAt: clock.now() + 3_600_000, account: 'a', cache: 'c' })
  const signIn = createSignIn(options)
  assert.equal(await signIn.endAll(owner), 1)
  assert.deepEqual(done, ['forgotten'])
})

test('a sign-in that was on its way when all sessions were ended comes to nothing; one that began afterwards does not', async (t) => {
  const clock = manualClock()
  const { log } = capturedLog()
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  t.after(() => kv.close())
  const seal = createSeal(randomBytes(32))
  const owner = { tenant: 't', id: 'ana' }
  const nobodyAsks = () => assert.fail('the authority is asked nothing')
  let state = ''
  let meanwhile = async (): Promise<unknown> => undefined
  const signIn = createSignIn({
    entra: {
      async signInUrl(request) {
        state = request.state
        return 'https://login.example.com'
      },
      async redeem() {
        await meanwhile()
        return { token: 'a', expiresAt: clock.now() + 3_600_000, account: 'a', cache: 'c' }
      },
      ...{ renew: nobodyAsks, onBehalfOf: nobodyAsks },
    },
    tokens: {
      verify: async () => ({ principal: { ...owner, name: 'Ana', kind: 'user' as const, roles: [], scopes: [] } }),
    },
    userTokens: { seen() {}, async forget() {} },
    ...{ tenant: 't', guests: [], publicUrl: 'https://chat.example.com' },
    ...{ kv, sealOf: async () => seal, clock, log },
  })
  const come = async () => {
    const { secret } = await signIn.begin({ tenant: undefined, returnTo: undefined })
    return signIn.finish({ code: 'c', state, secret })
  }
  meanwhile = () => signIn.endAll(owner)
  await assert.rejects(come(), { code: 'unauthenticated' })
  assert.equal(await signIn.endAll(owner), 0)
  meanwhile = async () => undefined
  clock.advance(1)
  const { session } = await come()
  assert.equal((await signIn.identify(session)).principal.id, 'ana')
  assert.equal(await signIn.endAll(owner), 1)
})
