import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { SignJWT } from 'jose'
import { readEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import { systemClock } from '#platform/clock.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { createTokenVerifier } from './token-verifier.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const tenant = randomUUID()

/** An authority by its configuration and keys alone: each cloud has its own, which nothing here can reach. */
function published(authority: string): { fetch: typeof fetch; asked: string[] } {
  const asked: string[] = []
  const base = `${authority}/${tenant}`
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'RS256' }
  const answers: Record<string, unknown> = {
    [`${base}/v2.0/.well-known/openid-configuration`]: { jwks_uri: `${base}/discovery/v2.0/keys` },
    [`${base}/discovery/v2.0/keys`]: { keys: [jwk] },
  }
  const fetchIt: typeof fetch = async (url) => {
    asked.push(String(url))
    const answer = answers[String(url)]
    return answer ? Response.json(answer) : new Response('', { status: 404 })
  }
  return { fetch: fetchIt, asked }
}

const sign = (ver: string, iss: string) =>
  new SignJWT({
    ...{ ver, iss, tid: tenant, oid: 'ana', scp: 'access_as_user', aud: ver === '1.0' ? 'api://app' : 'app' },
    ...(ver === '1.0' ? { appid: 'app' } : { azp: 'app' }),
    jti: randomUUID(),
  })
    .setProtectedHeader({ alg: 'RS256', kid: 'k' })
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)

const clouds = [
  { named: 'login.microsoftonline.com', v2: 'login.microsoftonline.com', v1: 'sts.windows.net' },
  { named: 'login.microsoftonline.us', v2: 'login.microsoftonline.us', v1: 'sts.windows.net' },
  { named: 'login.partner.microsoftonline.cn', v2: 'login.partner.microsoftonline.cn', v1: 'sts.chinacloudapi.cn' },
  { named: 'login.chinacloudapi.cn', v2: 'login.partner.microsoftonline.cn', v1: 'sts.chinacloudapi.cn' },
]

for (const { named, v2, v1 } of clouds) {
  test(`tokens of the cloud of ${named} are those of its own issuers, v1 and v2, and of no other cloud's`, async () => {
    const variables = { ENTRA_TENANT_ID: tenant, ENTRA_CLIENT_ID: 'app', PARLEY_ENTRA_AUTHORITY: `https://${named}` }
    const { identity } = readEnv(variables)
    assert.ok(identity.engine === 'entra')
    const { authority, v1Issuer } = identity
    const { fetch: fetchIt, asked } = published(authority)
    const tokens = createTokenVerifier({
      ...{ authority, v1Issuer, tenant, guests: [], audiences: ['app', 'api://app'], scope: 'access_as_user' },
      ...{ fetch: fetchIt, clock: systemClock, log: capturedLog().log },
    })
    const own = [
      ['2.0', `https://${v2}/${tenant}/v2.0`],
      ['1.0', `https://${v1}/${tenant}/`],
    ] as const
    for (const [ver, iss] of own) {
      assert.equal((await tokens.verify(await sign(ver, iss))).principal.id, 'ana', iss)
    }
    const foreign = clouds.flatMap((cloud) => [
      ...(cloud.v2 === v2 ? [] : [['2.0', `https://${cloud.v2}/${tenant}/v2.0`] as const]),
      ...(cloud.v1 === v1 ? [] : [['1.0', `https://${cloud.v1}/${tenant}/`] as const]),
      ['1.0', `https://${v2}/${tenant}/v2.0`] as const,
      ['2.0', `https://${v1}/${tenant}/`] as const,
    ])
    for (const [ver, iss] of foreign) {
      const refused = (error: unknown) => error instanceof ParleyError && error.code === 'unauthenticated'
      await assert.rejects(tokens.verify(await sign(ver, iss)), refused, `${ver} ${iss}`)
    }
    assert.deepEqual(
      asked.map((url) => new URL(url).host),
      [v2, v2],
    )
  })
}
