import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { createSeal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import { type EntraClient, type SignedIn, SignInNeeded } from '#platform/entra/entra.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import type { Role } from '../principal.ts'
import { newSessionName, readSessionName } from './session-name.ts'
import { Sessions } from './sessions.ts'

const HOUR = 3_600_000
const owner = { tenant: 't', id: 'ana' }

/** Two replicas over one store; tokens say the roles of whoever has them. */
function site(t: TestContext) {
  const clock = manualClock()
  const { log } = capturedLog()
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  t.after(() => kv.close())
  let seal = createSeal(randomBytes(32))
  const user: { roles: Role[]; refusal: Error | undefined } = { roles: ['Chat.User'], refusal: undefined }
  let renewals = 0
  let held: { until: Promise<void>; refusal: Error } | undefined
  const issue = (): SignedIn => ({
    token: `${user.roles.join()} ${clock.now() + HOUR}`,
    expiresAt: clock.now() + HOUR,
    account: 'a',
    cache: '{}',
  })
  const entra: Pick<EntraClient, 'renew'> = {
    async renew() {
      renewals += 1
      if (held) {
        const { until, refusal } = held
        held = undefined
        await until
        throw refusal
      }
      if (user.refusal) throw user.refusal
      return issue()
    },
  }
  const tokens = {
    async verify(token: string) {
      const [roles = '', until] = token.split(' ')
      if (Number(until) <= clock.now()) throw new ParleyError('unauthenticated')
      const principal = { ...owner, name: 'Ana', kind: 'user' as const, roles: roles.split(',') as Role[], scopes: [] }
      return { principal, until: Number(until) }
    },
  }
  const lent: string[] = []
  const userTokens = { seen: (_user: unknown, token: string) => void lent.push(token) }
  const open = () => new Sessions({ entra, tokens, userTokens, kv, sealOf: async () => seal, clock, log })
  /** The next renewal hears this refusal, and not before then. */
  const slowly = (until: Promise<void>, refusal: Error) => {
    held = { until, refusal }
  }
  const forget = () => {
    seal = createSeal(randomBytes(32))
  }
  return { clock, kv, user, issue, lent, slowly, forget, renewals: () => renewals, one: open(), other: open() }
}

test('a session tells who has it, on every replica, until it is ended', async (t) => {
  const { one, other, clock, issue } = site(t)
  const name = newSessionName(owner)
  await one.open(name, issue())
  const { principal, until } = await other.identify(name.cookie)
  assert.equal(principal.id, 'ana')
  assert.equal(until, clock.now() + HOUR, 'what streams go by ends with the token')
  await one.end(name.cookie)
  await assert.rejects(one.identify(name.cookie), { code: 'unauthenticated' })
  clock.advance(1001)
  await assert.rejects(other.identify(name.cookie), { code: 'unauthenticated' })
})

test('a session that nobody uses for eight hours is over, one that is used is not, and a day ends any', async (t) => {
  const { one, clock, issue } = site(t)
  const idle = newSessionName(owner)
  await one.open(idle, issue())
  clock.advance(8 * HOUR)
  await assert.rejects(one.identify(idle.cookie), { code: 'unauthenticated' })

  const used = newSessionName(owner)
  await one.open(used, issue())
  for (let hour = 0; hour < 23; hour += 1) {
    clock.advance(HOUR)
    await one.identify(used.cookie)
  }
  clock.advance(HOUR - 1)
  const { until = 0 } = await one.identify(used.cookie)
  assert.equal(until, clock.now() + 1, 'no later than the session')
  clock.advance(1001)
  await assert.rejects(one.identify(used.cookie), { code: 'unauthenticated' })
})

test('what it rests on is renewed before it ends, once for all replicas, and roles follow', async (t) => {
  const { one, other, clock, issue, user, lent, renewals } = site(t)
  const name = newSessionName(owner)
  await one.open(name, issue())
  await one.identify(name.cookie)
  user.roles = ['Chat.User', 'Admin']
  clock.advance(54 * 60_000)
  assert.deepEqual((await one.identify(name.cookie)).principal.roles, ['Chat.User'])
  clock.advance(2 * 60_000)
  assert.deepEqual((await one.identify(name.cookie)).principal.roles, ['Chat.User', 'Admin'])
  assert.deepEqual((await other.identify(name.cookie)).principal.roles, ['Chat.User', 'Admin'])
  assert.equal(renewals(), 1)
  assert.equal(new Set(lent).size, 2)
})

test('a user who was disabled is out with the end of the token', async (t) => {
  const { one, clock, issue, user } = site(t)
  const name = newSessionName(owner)
  await one.open(name, issue())
  user.refusal = new SignInNeeded('disabled')
  clock.advance(56 * 60_000)
  await assert.rejects(one.identify(name.cookie), { code: 'unauthenticated' })
  user.refusal = undefined
  await assert.rejects(one.identify(name.cookie), { code: 'unauthenticated' })
})

test('with the authority away a session lasts as long as its token, and goes on when it is back', async (t) => {
  const { one, clock, issue, user } = site(t)
  const name = newSessionName(owner)
  await one.open(name, issue())
  user.refusal = new ParleyError('identity_unavailable')
  clock.advance(56 * 60_000)
  await one.identify(name.cookie)
  clock.advance(5 * 60_000)
  await assert.rejects(one.identify(name.cookie), { code: 'identity_unavailable' })
  user.refusal = undefined
  await one.identify(name.cookie)
})

test('a replica that comes second with what the first renewed from does not end the session', async (t) => {
  const { one, other, clock, issue, user, slowly } = site(t)
  const name = newSessionName(owner)
  await one.open(name, issue())
  clock.advance(56 * 60_000)
  const { promise: renewedElsewhere, resolve } = Promise.withResolvers<void>()
  slowly(renewedElsewhere, new SignInNeeded('invalid_grant'))
  const late = other.identify(name.cookie)
  await one.identify(name.cookie)
  resolve()
  assert.equal((await late).principal.id, 'ana')
  user.refusal = new SignInNeeded('disabled')
  clock.advance(1001)
  assert.equal((await one.identify(name.cookie)).principal.id, 'ana')
})

test('a session that the key of its person no longer opens is over', async (t) => {
  const { one, clock, issue, forget } = site(t)
  const name = newSessionName(owner)
  await one.open(name, issue())
  forget()
  clock.advance(1001)
  await assert.rejects(one.identify(name.cookie), { code: 'unauthenticated' })
})

test('what is no session of that person is none', async (t) => {
  const { one, issue } = site(t)
  const name = newSessionName(owner)
  await one.open(name, issue())
  const [, id, secret] = name.cookie.split('.')
  const elsewhere = Buffer.from('other').toString('base64url')
  const last = name.cookie.at(-1) === 'A' ? 'B' : 'A'
  const made = [
    '',
    'x',
    '..',
    `${elsewhere}.${id}.${secret}`,
    `${name.cookie}.x`,
    name.cookie.slice(0, -1),
    name.cookie.slice(0, -1) + last,
  ]
  for (const cookie of made) await assert.rejects(one.identify(cookie), { code: 'unauthenticated' }, cookie)
  assert.equal(readSessionName(name.cookie)?.at, name.at)
})
