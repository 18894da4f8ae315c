import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { GovernanceEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import type { TurnEnded } from '#events/events.ts'
import { createAdmission } from '#governance/admission.ts'
import { countTokens, giveBack, renew } from '#governance/limits/give-back.ts'
import { limitKeys } from '#governance/limits/keys.ts'
import { Limits } from '#governance/limits/limits.ts'
import { take } from '#governance/limits/take.ts'
import { type Principal, partitionOf } from '#identity/principal.ts'
import { systemClock } from '#platform/clock.ts'
import type { Arg, Kv } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { besideEngine, startBothEngines } from '../support/both-engines.ts'
import { manualClock } from '../support/clock.ts'
import { unreachableKv } from '../support/unreachable-kv.ts'

const none: GovernanceEnv['limits'] = {
  requestsPerMinute: 0,
  tenantRequestsPerMinute: 0,
  clientRequestsPerMinute: 0,
  streamsAtOnce: 0,
  tokensPerDay: 0,
  firstDayRequests: 0,
}
const turn = { kind: 'turn', bytes: 40 } as const

const engines = await startBothEngines()
const { redis, sqlite } = engines
after(() => engines[Symbol.asyncDispose]())

function somebody(more: Partial<Principal> = {}): Principal {
  return { tenant: randomUUID(), id: 'ana', name: 'Ana', kind: 'user', roles: [], scopes: [], ...more }
}

function limitsOver(
  kv: Kv,
  limits: Partial<GovernanceEnv['limits']>,
  hasSpent?: (tenant: string, before: number) => Promise<boolean>,
) {
  const opened = new Limits({ kv, clock: manualClock(), limits: { ...none, ...limits }, hasSpent })
  return Object.assign(opened, { [Symbol.dispose]: () => opened.close() })
}

function refusedFor(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ParleyError, String(error))
    assert.equal(error.code, 'rate_limited')
    assert.match(error.message, message)
    assert.ok((error.retryAfterMs ?? 0) > 0)
    return true
  }
}

for (const kv of [sqlite, redis]) {
  const on = `limits on ${kv.engine}`

  test(`${on}: a hundred in a minute, and not one more, however many replicas ask at once`, async () => {
    using one = limitsOver(kv, { requestsPerMinute: 100 })
    using other = limitsOver(kv, { requestsPerMinute: 100 })
    const ana = somebody()
    const askedAt = performance.now()
    const asked = Array.from({ length: 160 }, (_, n) => (n % 2 === 0 ? one : other).take(ana, turn))
    const answers = await Promise.allSettled(asked)
    const refilled = Math.ceil((performance.now() - askedAt) / 600)
    const admitted = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    // As time passes while they ask, a bucket of a hundred gets another every 600 ms.
    assert.ok(admitted.length >= 100 && admitted.length <= 101 + refilled, `${admitted.length} were admitted`)
    const [refused] = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    assert.ok(refusedFor(/^Too many requests\.$/)(refused))
    assert.ok(refused.retryAfterMs <= 600)
    assert.deepEqual({ ...refused.limits.requests, resetMs: 0 }, { limit: 100, remaining: 0, resetMs: 0 })
    assert.equal(admitted[0]?.limits?.requests?.remaining, 99)
    await one.take({ ...ana, id: 'ben' }, turn)
    await one.take({ ...ana, tenant: randomUUID() }, turn)
  })

  test(`${on}: tenants and applications have limits of their own`, async () => {
    using limits = limitsOver(kv, { tenantRequestsPerMinute: 3, clientRequestsPerMinute: 2, requestsPerMinute: 9 })
    const ana = somebody({ client: 'page' })
    await limits.take(ana, turn)
    await limits.take({ ...ana, id: 'ben' }, turn)
    await assert.rejects(limits.take({ ...ana, id: 'cy' }, turn), refusedFor(/application/))
    await limits.take({ ...ana, id: 'cy', client: 'desktop' }, turn)
    await assert.rejects(limits.take({ ...ana, id: 'cy', client: 'desktop' }, turn), refusedFor(/organisation/))
  })

  test(`${on}: five at once; a place comes free when it is given back, once`, async () => {
    using limits = limitsOver(kv, { streamsAtOnce: 5 })
    const ana = somebody()
    const held = await Promise.all(Array.from({ length: 5 }, () => limits.take(ana, turn)))
    await assert.rejects(limits.take(ana, turn), refusedFor(/at once/))
    held[0]?.release()
    held[0]?.release()
    await limits.take(ana, turn)
    await assert.rejects(limits.take(ana, turn), refusedFor(/at once/))
    // What we ask ourselves waits for nobody's place.
    await limits.take(ana, { kind: 'follow-up', bytes: 0 })
  })

  test(`${on}: a run without a chat is a request, takes no place and no tokens, and waits for neither`, async () => {
    using limits = limitsOver(kv, { requestsPerMinute: 3, streamsAtOnce: 1, tokensPerDay: 1500 })
    const ana = somebody()
    const run = { kind: 'run', bytes: 0 } as const
    const held = await limits.take(ana, turn)
    await assert.rejects(limits.take(ana, turn), refusedFor(/at once/))
    const second = await limits.take(ana, run)
    assert.deepEqual([second.limits?.requests?.remaining, second.limits?.tokens?.remaining], [1, 1500 - 1034])
    held.release()
    await limits.count('turn-1', ended(ana, 1500))
    const third = await limits.take(ana, run)
    assert.deepEqual([third.limits?.requests?.remaining, third.limits?.tokens?.remaining], [0, 0])
    await assert.rejects(limits.take(ana, run), refusedFor(/^Too many requests\.$/))
  })

  test(`${on}: the tokens of a day are reserved when asked for and counted at the end, once`, async () => {
    using limits = limitsOver(kv, { tokensPerDay: 3000 })
    const ana = somebody()
    const count = (unit: string, tokens: number) => limits.count(unit, ended(ana, tokens))
    const first = await limits.take(ana, turn)
    assert.deepEqual(first.limits?.tokens?.remaining, 3000 - 1034)
    await limits.take(ana, turn)
    await assert.rejects(limits.take(ana, turn), refusedFor(/tokens of the day/))
    await count('turn-1', 900)
    await count('turn-1', 900)
    first.release()
    const third = await limits.take(ana, turn)
    assert.equal(third.limits?.tokens?.remaining, 3000 - 900 - 2 * 1034)
    await count('turn-2', 2100)
    await assert.rejects(limits.take(ana, turn), (error: ParleyError) => {
      const left = 86_400_000 - (Date.now() % 86_400_000)
      return Math.abs((error.retryAfterMs ?? 0) - left) < 60_000
    })
  })

  test(`${on}: an organisation that is new has ten requests`, async () => {
    using limits = limitsOver(kv, { firstDayRequests: 10 })
    const ana = somebody()
    for (let n = 0; n < 10; n++) await limits.take({ ...ana, id: `person-${n}` }, turn)
    await assert.rejects(limits.take(ana, turn), refusedFor(/first day/))
    await limits.take(somebody(), turn)
  })

  test(`${on}: a tenant that the ledger knows is none of the first day, whatever the store has lost; of others it is asked once a minute`, async () => {
    const asked: string[] = []
    const [old, fresh, unsure] = [somebody(), somebody(), somebody()]
    using limits = limitsOver(kv, { firstDayRequests: 1 }, async (tenant) => {
      asked.push(tenant)
      if (tenant === unsure.tenant) throw new ParleyError('database_unavailable')
      return tenant === old.tenant
    })
    await Promise.all(Array.from({ length: 5 }, () => limits.take(old, turn)))
    await limits.take(old, turn)
    for (const who of [fresh, unsure]) {
      await limits.take(who, turn)
      for (let n = 0; n < 2; n++) await assert.rejects(limits.take(who, turn), refusedFor(/first day/))
    }
    assert.deepEqual(asked, [old.tenant, fresh.tenant, unsure.tenant])
  })

  test(`${on}: with the store away a turn is refused; a relay passes, and so does a run, which takes no place`, async () => {
    const { kv: away, reach } = unreachableKv(kv)
    using limits = limitsOver(away, { requestsPerMinute: 1 })
    const admission = createAdmission({ atOnce: 2, limits })
    reach('away')
    await assert.rejects(admission.admit(somebody(), turn), { code: 'state_unavailable' })
    const relay = await admission.admit(somebody(), { kind: 'relay', bytes: 1 })
    assert.equal(relay.limits, undefined)
    await admission.admit(somebody(), { kind: 'relay', bytes: 1 })
    await assert.rejects(admission.admit(somebody(), { kind: 'relay', bytes: 1 }), { code: 'overloaded' })
    const run = await admission.admit(somebody(), { kind: 'run', bytes: 0 })
    assert.equal(run.limits, undefined)
  })
}

test('places of a replica that died come free after their lease; those of one that lives do not, and clocks of replicas do not matter', async () => {
  const clock = manualClock()
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...besideEngine, clock })
  const ahead = manualClock(Date.UTC(2031, 0, 1))
  const bounds = { ...none, streamsAtOnce: 1, tokensPerDay: 2000 }
  const dead = new Limits({ kv, clock: ahead, limits: bounds })
  const alive = new Limits({ kv, clock, limits: bounds })
  const [ana, ben] = [somebody(), somebody()]
  await dead.take(ana, turn)
  await alive.take(ben, turn)
  dead.close()
  for (let ms = 0; ms < 16_000; ms += 1000) {
    clock.advance(1000)
    await kv.get(limitKeys('t', 'p', '').client)
  }
  await assert.rejects(alive.take(ben, turn), refusedFor(/at once/))
  const taken = await alive.take(ana, turn)
  assert.equal(taken.limits?.tokens?.remaining, 2000 - 1034, 'what the dead one reserved has lapsed')
  alive.close()
  await kv.close()
})

test('when the clock of the store is set back, nobody waits for it to come round', async () => {
  let now = Date.UTC(2026, 0, 5)
  const clock = { ...systemClock, now: () => now }
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...besideEngine, clock })
  await using _ = { [Symbol.asyncDispose]: () => kv.close() }
  using limits = limitsOver(kv, { requestsPerMinute: 2 })
  const ana = somebody()
  await limits.take(ana, turn)
  now -= 3_600_000
  await limits.take(ana, turn)
  await limits.take(ana, turn)
  await assert.rejects(limits.take(ana, turn), (error: ParleyError) => (error.retryAfterMs ?? 0) <= 60_000)
})

test('both live states admit alike', async () => {
  const args = fc.record({
    who: fc.constantFrom('ana', 'ben'),
    streams: fc.constantFrom(0, 1, 3),
    tokens: fc.constantFrom(0, 100, 300),
    firstDay: fc.constantFrom(0, 4),
    // So slow that no time passes in between.
    perDay: fc.constantFrom(0, 1, 5),
    leaseMs: fc.constantFrom(0, 60_000),
    end: fc.constantFrom('none', 'renew', 'give back', 'count'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(args, { maxLength: 25 }), async (asked) => {
      const tenant = randomUUID()
      const play = async (kv: Kv) => {
        const said: unknown[] = []
        for (const [n, { who, streams, tokens, firstDay, perDay, leaseMs, end }] of asked.entries()) {
          const keys = limitKeys(tenant, who, 'page')
          const bucket = perDay === 0 ? [0, 0] : [1e12, 1e12 * perDay]
          const given: Arg[] = [`id-${n}`, leaseMs, streams, tokens, 40, firstDay, ...bucket, 0, 0, ...bucket]
          const taken = await kv.run(take, [keys.tenant, keys.client, keys.principal, keys.held], given)
          said.push([taken.kind, taken.requests.remaining, taken.tokens.spent])
          if (end === 'renew') await kv.run(renew, [keys.held], [60_000, `id-${n}`])
          if (end === 'give back') await kv.run(giveBack, [keys.principal, keys.held], [`id-${n}`])
          if (end === 'count') await kv.run(countTokens, [keys.principal, keys.client], [`unit-${n % 3}`, 30])
        }
        return said
      }
      const [expected, answered] = await Promise.all([sqlite, redis].map(play))
      assert.deepEqual(answered, expected)
    }),
    { numRuns: 60 },
  )
})

function ended(principal: Principal, tokens: number): TurnEnded {
  return {
    config: 'v1',
    arm: 'stable',
    cohort: '',
    unit: 'unit',
    turn: 'turn',
    conversation: null,
    principal: partitionOf(principal),
    tenant: principal.tenant,
    specialist: 'helper',
    status: 'completed',
    finish: 'stop',
    code: null,
    segments: [{ model: 'primary', inputTokens: tokens - 1, outputTokens: 1, costUsd: 0 }],
    faults: [],
    firstTokenMs: null,
    startedAt: Date.now(),
    endedAt: Date.now(),
  }
}
