import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify, SignJWT } from 'jose'
import { createTokenVerifier } from '#identity/entra/token-verifier.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { spreadOf } from './statistics.ts'

const AUTHORITY = 'https://login.microsoftonline.com'
const AUDIENCE = 'app'
const LIMIT_US = 50

/** What it takes to know who calls, once the keys of the issuer are there: beside `jose` alone, with the same keys and checks. */
export async function measureToken({ quick, say }: BenchOptions): Promise<PartReport> {
  const times = quick ? 2000 : 20_000
  const { tenant, tokens, keys } = await issued(quick ? 500 : 2000)
  const verifier = createTokenVerifier({
    ...{ authority: AUTHORITY, v1Issuer: 'https://sts.windows.net', tenant, guests: [], audiences: [AUDIENCE] },
    ...{ scope: 'access_as_user', fetch: published(tenant, keys), clock: systemClock, log: createLog('silent') },
  })
  const keySet = createLocalJWKSet(keys)
  const checks = {
    ...{ algorithms: ['RS256'], issuer: `${AUTHORITY}/${tenant}/v2.0`, audience: AUDIENCE },
    ...{ clockTolerance: 60, requiredClaims: ['exp', 'iat', 'tid', 'oid'] },
  }
  const bare = (n: number) => jwtVerify(at(tokens, n), keySet, checks)
  const ours = (n: number) => verifier.verify(at(tokens, n))

  // Half of the tokens are seen for the first time below, when keys and code are warm.
  const half = tokens.length / 2
  for (let n = 0; n < half; n++) await bare(n)
  for (let n = 0; n < half; n++) await ours(n)
  const rows = [
    { way: 'jose alone, each time', ...(await spread(bare, half, times / 4)) },
    { way: 'parley, a token that comes for the first time', ...(await spread((n) => ours(half + n), half, half)) },
    { way: 'parley, a token that has come before', ...(await spread(ours, half, times)) },
  ]
  for (const { way, p50 } of rows) say(`token: ${way}: p50 ${figure(p50)} µs`)
  const gates = [atMost('token verification, warm, p50', 'parley', rows[2]?.p50 ?? Number.NaN, LIMIT_US, ' µs')]
  const text = [
    table(
      ['verifying a token (RS256, 2048 bits)', 'p50 µs', 'p99 µs'],
      rows.map(({ way, p50, p99 }) => [way, figure(p50), figure(p99)]),
    ),
    'A token that was verified is known by its hash for five minutes, and no longer than it is valid: whoever calls often is verified rarely.',
    gateTable(gates),
  ].join('\n\n')
  return { text, gates, data: { rows } }
}

/** Microseconds, one after another. */
async function spread(verify: (n: number) => Promise<unknown>, many: number, times: number) {
  const taken: number[] = []
  for (let n = 0; n < times; n++) {
    const began = performance.now()
    await verify(n % many)
    taken.push((performance.now() - began) * 1000)
  }
  const { p50, p99 } = spreadOf(taken)
  return { p50, p99 }
}

async function issued(count: number) {
  const tenant = randomUUID()
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keys: JSONWebKeySet = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'RS256' }] }
  const sign = (oid: string) =>
    new SignJWT({
      tid: tenant,
      oid,
      ver: '2.0',
      scp: 'access_as_user',
      azp: 'client',
      name: 'Ana',
      roles: ['Chat.User'],
    })
      .setProtectedHeader({ alg: 'RS256', kid: 'k' })
      .setIssuer(`${AUTHORITY}/${tenant}/v2.0`)
      .setAudience(AUDIENCE)
      .setSubject(oid)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey)
  return { tenant, keys, tokens: await Promise.all(Array.from({ length: count }, () => sign(randomUUID()))) }
}

/** The issuer's configuration and keys, from memory: it is asked once, before anything is measured. */
function published(tenant: string, keys: JSONWebKeySet): typeof fetch {
  const jwks = `${AUTHORITY}/${tenant}/discovery/v2.0/keys`
  return async (url) => Response.json(String(url) === jwks ? keys : { jwks_uri: jwks })
}

function at(tokens: readonly string[], n: number): string {
  return tokens[n % tokens.length] ?? ''
}
