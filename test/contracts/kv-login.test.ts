import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { createLog } from '#log.ts'
import { type Clock, systemClock } from '#platform/clock.ts'
import type { TokenSource } from '#platform/credential.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { RedisEngine } from '#platform/kv/redis.ts'
import { ensureRedis } from '../support/ensure-redis.ts'
import { freePort } from '../support/free-port.ts'
import { localhostCertificate, localhostKey } from '../support/localhost-certificate.ts'
import { command, noOwnRedis, startRedis } from '../support/redis.ts'
import { somewhere, until } from './kv/under-test.ts'

/** How Redis is signed in to, and by what line. */

const log = createLog('silent')
const skip = await noOwnRedis()
const objectId = '2f0a3c1e-0000-4000-8000-00000000beef'
const everything = ['~*', '&*', '+@all']

test('signs in with tokens of its identity, and all connections again before they expire', { skip }, async () => {
  const [first, second] = [tokenOf(objectId, 1), tokenOf(objectId, 2)]
  await using server = await startRedis({
    args: [
      ...['--user', 'default', 'off'],
      ...['--user', 'admin', 'on', '>admin', ...everything],
      ...['--user', objectId, 'on', `>${first}`, `>${second}`, ...everything],
    ],
  })
  const admin = server.url.replace('//', '//admin:admin@')
  const scopes: string[] = []
  const source: TokenSource = {
    token: async (scope) => {
      scopes.push(scope)
      return {
        token: scopes.length === 1 ? first : second,
        expiresAt: Date.now() + (scopes.length === 1 ? 6000 : 3600_000),
      }
    },
  }
  await using store = await open(server.url, source)
  const { kv } = store
  assert.equal(kv.reachable, true)
  const at = somewhere()
  const heard: string[] = []
  const stop = await kv.listen(at, (payload) => heard.push(payload))
  assert.equal(await kv.put(at, Buffer.from('v')), 1)

  await until(async () => /cmdstat_auth:calls=2,/.test(String(await command(admin, 'INFO', 'commandstats'))))
  assert.deepEqual(new Set(scopes), new Set(['https://redis.azure.com/.default']))
  await kv.signal(at, 'still there')
  await until(() => heard.length === 1)

  await command(admin, 'ACL', 'SETUSER', objectId, `<${first}`)
  await command(admin, 'CLIENT', 'KILL', 'USER', objectId)
  await until(async () => (await kv.put(at, Buffer.from('w')).catch(() => undefined)) !== undefined)
  await until(async () => {
    await kv.signal(at, 'back')
    return heard.includes('back')
  })
  stop()
})

test('a token that cannot be had, or names nobody, leaves the store out of reach until there is one', {
  skip,
}, async () => {
  const token = tokenOf(objectId, 1)
  await using server = await startRedis({ args: ['--user', objectId, 'on', `>${token}`, ...everything] })
  let asked = 0
  const source: TokenSource = {
    token: async () => {
      asked += 1
      if (asked === 1) throw new Error('no identity yet')
      return { token: asked === 2 ? tokenOf(undefined, 1) : token, expiresAt: Date.now() + 3600_000 }
    },
  }
  await using store = await open(server.url, source, 100)
  assert.equal(store.kv.reachable, false)
  await assert.rejects(store.kv.get(somewhere()), { code: 'state_unavailable' })
  await until(() => store.kv.reachable)
  assert.equal(await store.kv.put(somewhere(), Buffer.from('v')), 1)
  assert.equal(asked, 3)
})

const noCertificate =
  (await ensureRedis()).kind !== 'binary' && 'only a server of this machine can read our certificate'

test('speaks TLS to rediss, and only to whom the certificate names', { skip: skip || noCertificate }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tls-'))
  await using cleanup = new AsyncDisposableStack()
  cleanup.defer(() => rm(folder, { recursive: true }))
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')]
  await writeFile(certificate, localhostCertificate)
  await writeFile(key, localhostKey)
  const port = await freePort()
  await using _server = await startRedis({
    args: [
      ...['--tls-port', String(port), '--tls-auth-clients', 'no'],
      ...['--tls-cert-file', certificate, '--tls-key-file', key],
    ],
  })
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, localhostCertificate])
  cleanup.defer(() => setDefaultCACertificates(trusted))

  await using named = await open(`rediss://localhost:${port}`)
  assert.equal(await named.kv.put(somewhere(), Buffer.from('v')), 1)
  await using misnamed = await open(`rediss://127.0.0.1:${port}`, undefined, 500)
  assert.equal(misnamed.kv.reachable, false)
})

test('the environment says whether tokens are used', { skip }, async () => {
  await using server = await startRedis({ args: ['--requirepass', 'secret'] })
  let asked = 0
  const tokens: TokenSource = {
    token: async () => {
      asked += 1
      return { token: tokenOf('default', 1), expiresAt: Date.now() + 3600_000 }
    },
  }
  const url = server.url.replace('//', '//:secret@')
  const withPassword = await openKv({
    env: { engine: 'redis', url, cluster: false, auth: 'url' },
    ...{ clock: systemClock, log, tokens },
  })
  assert.deepEqual([withPassword.reachable, asked], [true, 0])
  await withPassword.close()
  const withToken = await openKv({
    env: { engine: 'redis', url: server.url, cluster: false, auth: 'entra' },
    ...{ clock: systemClock, log, tokens, patienceMs: 500 },
  })
  assert.deepEqual([withToken.reachable, asked], [false, 1])
  await withToken.close()
})

async function open(url: string, credential?: TokenSource, patienceMs = 60_000): Promise<{ kv: Kv } & AsyncDisposable> {
  // Ten times as fast as it says.
  const clock: Clock = { ...systemClock, after: (delayMs, task) => systemClock.after(delayMs / 10, task) }
  const engine = new RedisEngine({ url: () => url, cluster: false, credential, clock, log, commandTimeoutMs: 10_000 })
  await engine.connect(patienceMs)
  const kv = createKv(engine)
  return { kv, [Symbol.asyncDispose]: () => kv.close() }
}

function tokenOf(oid: string | undefined, number: number): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part({ oid, number })}.signature`
}
