import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { decodeJwt } from 'jose'
import { type OidcIssuer, SCOPE, startOidcIssuer } from '../../../test/support/oidc-issuer.ts'
import { SignInBrowser } from '../../../test/support/sign-in-browser.ts'
import { systemClock } from '../clock.ts'
import { type EntraClient, type SignedIn, SignInNeeded } from './entra.ts'
import { createEntraClient } from './msal.ts'

const redirectUri = 'http://127.0.0.1:1/auth/callback'
let issuer: OidcIssuer
let client: EntraClient
before(async () => {
  issuer = await startOidcIssuer([redirectUri])
  const { authority, clientId, clientSecret } = issuer
  client = createEntraClient({
    ...{ authority, clientId, clientSecret: () => clientSecret, scope: SCOPE, fetch, clock: systemClock },
  })
})
after(() => issuer[Symbol.asyncDispose]())

async function signIn(expect: { nonce?: string; verifier?: string } = {}): Promise<SignedIn> {
  const verifier = randomBytes(32).toString('base64url')
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  const [state, nonce] = [randomUUID(), randomUUID()]
  const tenant = issuer.home.id
  const address = await client.signInUrl({ tenant, redirectUri, state, nonce, challenge })
  const { url } = await new SignInBrowser().visit(address, (at) => at.href.startsWith(redirectUri))
  assert.equal(url.searchParams.get('state'), state)
  const code = String(url.searchParams.get('code'))
  return client.redeem({ tenant, redirectUri, code, nonce, verifier, ...expect })
}

test('a sign-in gives a token for our API, and another without asking again', async () => {
  const first = await signIn()
  const claims = decodeJwt(first.token)
  assert.deepEqual(
    [claims.aud, claims.tid, claims.oid, claims.scp],
    [issuer.clientId, issuer.home.id, issuer.user.oid, SCOPE],
  )
  assert.ok(first.expiresAt > Date.now() + 3_000_000)
  const { account, cache } = first
  const second = await client.renew({ tenant: issuer.home.id, account, cache })
  assert.notEqual(second.token, first.token)
  assert.equal(decodeJwt(second.token).oid, issuer.user.oid)
  await client.renew({ tenant: issuer.home.id, account: second.account, cache: second.cache })
})

test('a code that belongs to another sign-in is not taken', async () => {
  await assert.rejects(signIn({ nonce: 'another' }), SignInNeeded)
  await assert.rejects(signIn({ verifier: randomBytes(32).toString('base64url') }), SignInNeeded)
})

test('an account that is not there has to sign in', async () => {
  const { cache } = await signIn()
  await assert.rejects(client.renew({ tenant: issuer.home.id, account: 'nobody', cache }), SignInNeeded)
})

test('a token on behalf of a user is for the tool, and names the user', async () => {
  const assertion = await issuer.home.sign()
  const { token, expiresAt } = await client.onBehalfOf({
    tenant: issuer.home.id,
    assertion,
    scope: 'api://desk/.default',
  })
  const { aud, oid } = decodeJwt(token)
  assert.deepEqual([aud, oid], ['api://desk', issuer.user.oid])
  assert.ok(expiresAt > Date.now() + 3_000_000)
})

test('a user who was disabled has to come back, and so has one whose token is not taken', async () => {
  const oid = randomUUID()
  const assertion = await issuer.home.sign({ oid })
  issuer.disabled.add(oid)
  const ask = (given: string) =>
    client.onBehalfOf({ tenant: issuer.home.id, assertion: given, scope: 'api://desk/.default' })
  await assert.rejects(ask(assertion), SignInNeeded)
  await assert.rejects(ask('nonsense'), SignInNeeded)
})

test('a secret that is replaced is used from the next call on; one that is not taken is told', async () => {
  const { authority, clientId } = issuer
  let [secret, refused] = ['retired', 0]
  const rotating = createEntraClient({
    ...{ authority, clientId, clientSecret: () => secret, scope: SCOPE, fetch, clock: systemClock },
    onUnauthorized: () => refused++,
  })
  const assertion = await issuer.home.sign()
  const ask = () => rotating.onBehalfOf({ tenant: issuer.home.id, assertion, scope: 'api://desk/.default' })
  await assert.rejects(ask(), { code: 'identity_unavailable' })
  assert.equal(refused, 1)
  secret = issuer.clientSecret
  assert.equal(decodeJwt((await ask()).token).aud, 'api://desk')
  assert.equal(refused, 1)
})

test('with the authority away it is told to come back', async () => {
  issuer.down = true
  const assertion = await issuer.home.sign()
  await assert.rejects(client.onBehalfOf({ tenant: issuer.home.id, assertion, scope: 'api://desk/.default' }), {
    code: 'identity_unavailable',
  })
  issuer.down = false
})
