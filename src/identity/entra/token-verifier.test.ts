import assert from 'node:assert/strict'
import { createHmac, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { JSONWebKeySet } from 'jose'
import { ParleyError } from '#errors.ts'
import type { Facts } from '#events/events.ts'
import type { Clock } from '#platform/clock.ts'
import { systemClock } from '#platform/clock.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { type OidcIssuer, SCOPE, startOidcIssuer } from '../../../test/support/oidc-issuer.ts'
import { createTokenVerifier, type TokenVerifier } from './token-verifier.ts'

let issuer: OidcIssuer
before(async () => {
  issuer = await startOidcIssuer()
})
after(() => issuer[Symbol.asyncDispose]())

/** A clock that can be set, whose timers are not used. */
function shiftedClock(): Clock & { shiftMs: number } {
  const clock: Clock & { shiftMs: number } = {
    ...systemClock,
    shiftMs: 0,
    now: () => Date.now() + clock.shiftMs,
    monotonic: () => performance.now() + clock.shiftMs,
  }
  return clock
}

function verifier(
  clock: Clock = systemClock,
  at = issuer,
  onAway?: (away: Facts['identity.away']) => void,
): TokenVerifier {
  return createTokenVerifier({
    authority: at.authority,
    v1Issuer: at.authority,
    tenant: at.home.id,
    guests: [at.guest.id],
    audiences: [at.clientId, `api://${at.clientId}`],
    scope: SCOPE,
    fetch,
    onAway,
    clock,
    log: capturedLog().log,
  })
}

async function refusedAs(code: string, verified: Promise<unknown>, what = code): Promise<ParleyError> {
  const outcome = await verified.catch((error: unknown) => error)
  assert.ok(outcome instanceof ParleyError, `${what}: ${JSON.stringify(outcome)}`)
  assert.equal(outcome.code, code, what)
  return outcome
}

test('a token of a user tells who it is, and until when', async () => {
  const token = await issuer.home.sign({ roles: ['Chat.User', 'Admin', 'Made.Up'], groups: ['g1', 7] })
  const { principal, until } = await verifier().verify(token)
  assert.deepEqual(principal, {
    tenant: issuer.home.id,
    id: issuer.user.oid,
    name: issuer.user.name,
    kind: 'user',
    roles: ['Chat.User', 'Admin'],
    scopes: [SCOPE],
    client: issuer.clientId,
    groups: ['g1'],
  })
  assert.ok(until && until > Date.now() + 3_000_000 && until <= Date.now() + 3_600_000)
})

test('a token that an application got at the token endpoint is a service', async () => {
  const { principal } = await verifier().verify(await issuer.home.clientCredentials())
  assert.deepEqual(principal, {
    tenant: issuer.home.id,
    id: issuer.clientId,
    name: issuer.clientId,
    kind: 'service',
    roles: ['Chat.User'],
    scopes: [],
    client: issuer.clientId,
  })
})

test('v1 tokens are taken too', async () => {
  const { home, authority, clientId } = issuer
  const claims = {
    ver: '1.0',
    iss: `${authority}/${home.id}/`,
    aud: `api://${clientId}`,
    azp: undefined,
    appid: clientId,
  }
  assert.equal((await verifier().verify(await home.sign(claims))).principal.kind, 'user')
})

test('a guest uses, and does not operate, whatever its administrator hands out', async () => {
  const every = ['Chat.User', 'Action.Approver', 'Config.Operator', 'Finance.Operator', 'Privacy.Officer', 'Admin']
  const { principal } = await verifier().verify(await issuer.guest.sign({ roles: every }))
  assert.equal(principal.tenant, issuer.guest.id)
  assert.deepEqual(principal.roles, ['Chat.User', 'Action.Approver', 'Privacy.Officer'])
})

test('what is not a token for us is refused', async () => {
  const { home, guest, authority, clientId } = issuer
  const now = Math.floor(Date.now() / 1000)
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const good = await home.sign()
  const [head = '', body = '', signature = ''] = good.split('.')
  const plain = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url')
  const elsewhere = randomUUID()
  const cases: Record<string, string> = {
    'forged with a key of its own': await home.sign({}, { key: stranger }),
    'forged with a key of its own, under no name': await home.sign({}, { key: stranger, header: { kid: undefined } }),
    'signed by a guest for the home tenant': await guest.sign({ tid: home.id, iss: `${authority}/${home.id}/v2.0` }),
    'of the issuer of another tenant': await home.sign({ iss: `${authority}/${guest.id}/v2.0` }),
    'of a tenant that is not served': await home.sign({ tid: elsewhere, iss: `${authority}/${elsewhere}/v2.0` }),
    'of no tenant': await home.sign({ tid: undefined }),
    'of nobody': await home.sign({ oid: undefined }),
    'for somebody else': await home.sign({ aud: randomUUID() }),
    'for nobody': await home.sign({ aud: undefined }),
    'expired, beyond the skew': await home.sign({ exp: now - 61 }),
    'without an end': await home.sign({ exp: undefined }),
    'not valid yet, beyond the skew': await home.sign({ nbf: now + 120 }),
    'an ID token (a nonce)': await home.sign({ nonce: 'n' }),
    'an ID token (no client)': await home.sign({ azp: undefined }),
    'neither for a user nor for an application': await home.sign({ scp: undefined }),
    'v1 by its word, v2 by its issuer': await home.sign({ ver: '1.0' }),
    'alg: none': `${plain({ alg: 'none', typ: 'JWT' })}.${body}.`,
    'alg: none, with a signature': `${plain({ alg: 'none', typ: 'JWT' })}.${body}.${signature}`,
    'with another body': `${head}.${plain({ ...JSON.parse(Buffer.from(body, 'base64url').toString()), roles: ['Admin'] })}.${signature}`,
    truncated: good.slice(0, -10),
    'without a signature': `${head}.${body}.`,
    'cut in the middle': good.slice(0, good.length / 2),
    'no token at all': 'hello',
    'empty parts': '..',
    'an encrypted one (five parts)': 'a.b.c.d.e',
    'a list for claims': `${head}.${Buffer.from('[]').toString('base64url')}.${signature}`,
  }
  const tokens = verifier()
  await tokens.verify(good)
  for (const [what, token] of Object.entries(cases)) await refusedAs('unauthenticated', tokens.verify(token), what)
  assert.ok(clientId)
})

test('a public key is no shared secret: HS256 with it is refused', async () => {
  const { home, authority } = issuer
  const published = await fetch(`${authority}/${home.id}/v2.0/jwks`)
  const [jwk] = ((await published.json()) as JSONWebKeySet).keys
  assert.ok(jwk)
  const pem = createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const [, body] = (await home.sign()).split('.')
  const head = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'JWT', kid: jwk.kid })).toString('base64url')
  const signature = createHmac('sha256', pem).update(`${head}.${body}`).digest('base64url')
  await refusedAs('unauthenticated', verifier().verify(`${head}.${body}.${signature}`))
})

test('a client without the permission to call for users is forbidden to', async () => {
  await refusedAs('forbidden', verifier().verify(await issuer.home.sign({ scp: 'User.Read' })))
})

test('times are held with a skew of a minute, also where the token is known already', async () => {
  const clock = shiftedClock()
  const tokens = verifier(clock)
  const token = await issuer.home.sign()
  const { until = 0 } = await tokens.verify(token)
  clock.shiftMs = until - Date.now() + 59_000
  await tokens.verify(token)
  clock.shiftMs += 2000
  const refusal = await refusedAs('unauthenticated', tokens.verify(token))
  assert.equal(refusal.message, 'The token has expired.')
})

test('keys that are rotated are found without a restart, and the old ones are forgotten', async () => {
  await using own = await startOidcIssuer()
  const clock = shiftedClock()
  const tokens = verifier(clock, own)
  const old = await own.home.sign({ jti: '1' })
  await tokens.verify(old)
  own.home.rotate()
  clock.shiftMs = 31_000
  await tokens.verify(await own.home.sign({ jti: '2' }))
  clock.shiftMs += 6 * 60_000
  await refusedAs('unauthenticated', tokens.verify(old))
})

test('made-up keys do not make us ask for each', async () => {
  await using own = await startOidcIssuer()
  const tokens = verifier(systemClock, own)
  await tokens.verify(await own.home.sign())
  for (let made = 0; made < 20; made++) {
    await refusedAs('unauthenticated', tokens.verify(await own.home.sign({}, { header: { kid: randomUUID() } })))
  }
  assert.equal(own.asked('/jwks'), 1)
})

test('with the issuer away, known keys keep working for a day; without any it is told to come back', async () => {
  await using own = await startOidcIssuer()
  const clock = shiftedClock()
  const told: string[] = []
  const tokens = verifier(clock, own, ({ tenant, hasKeys, isOver }) => {
    assert.equal(tenant, own.home.id)
    told.push(isOver ? 'back' : hasKeys ? 'away' : 'nobody gets in')
  })
  own.down = true
  const refusal = await refusedAs('identity_unavailable', tokens.verify(await own.home.sign()))
  assert.ok(refusal.retryAfterMs)
  // One try to no avail is nothing, keys or none; the next says so.
  assert.deepEqual(told, [])
  clock.shiftMs += 2000
  await refusedAs('identity_unavailable', tokens.verify(await own.home.sign()))
  assert.deepEqual(told, ['nobody gets in'])
  own.down = false
  clock.shiftMs += 2000
  await tokens.verify(await own.home.sign({ jti: '1' }))
  assert.deepEqual(told, ['nobody gets in', 'back'])
  own.down = true
  const later = (jti: string) => own.home.sign({ jti, exp: Math.floor(clock.now() / 1000) + 60 })
  clock.shiftMs += 23 * 3_600_000
  await tokens.verify(await later('2'))
  while (told.length < 3) {
    clock.shiftMs += 31_000
    const unknown = await own.home.sign({ jti: randomUUID() }, { header: { kid: randomUUID() } })
    await refusedAs('unauthenticated', tokens.verify(unknown))
  }
  assert.deepEqual(told, ['nobody gets in', 'back', 'away'])
  clock.shiftMs += 2 * 3_600_000
  await refusedAs('identity_unavailable', tokens.verify(await later('3')))
  own.down = false
  clock.shiftMs += 60_000
  await tokens.verify(await later('4'))
  assert.equal(told.at(-1), 'back')
})
