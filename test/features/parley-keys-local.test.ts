import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { newId } from '#ids.ts'
import { newKeyText } from '../../src/identity/keys/key-text.ts'
import { startApp } from '../support/app.ts'
import { capturedLog } from '../support/captured-log.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { startOidcIssuer } from '../support/oidc-issuer.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RawClient } from '../support/raw-client.ts'

test('on a machine of one’s own keys are not needed, and a tool can be tried out with one', async () => {
  await using postgres = await sharedPostgres()
  const { log, lines } = capturedLog()
  await using app = await startApp({ log, variables: { DATABASE_URL: await postgres.createDatabase() } })
  const { call } = nativeClient(app.url)
  assert.equal((await call('GET', '/api/v1/me')).body.id, 'local')
  const { status, body: key } = await call('POST', '/api/v1/keys', { name: 'a tool', chat: ['apollo'] })
  assert.equal(status, 201, JSON.stringify(key))
  const headers = { authorization: `Bearer ${key.key}` }
  const { body: me } = await call('GET', '/api/v1/me', undefined, headers)
  assert.deepEqual([me.tenant, me.id, me.key.owner], ['local', key.id, 'local'])
  assert.equal((await call('POST', '/api/v1/conversations', { specialist: 'hermes' }, headers)).status, 403)
  // What others send as their key is nobody's business here, as before.
  assert.equal((await call('GET', '/api/v1/me', undefined, { authorization: 'Bearer sk-anything' })).body.id, 'local')
  assert.equal((await call('GET', '/api/v1/me', undefined, { authorization: 'Bearer parley_typo' })).status, 401)
  // A key is no way round what keeps other pages and other names away.
  const foreign = await call('GET', '/api/v1/me', undefined, { ...headers, origin: 'https://elsewhere.example' })
  assert.deepEqual([foreign.status, foreign.body.error.code], [403, 'cross_site'])
  const raw = new RawClient(Number(new URL(app.url).port))
  raw.send(`GET /api/v1/me HTTP/1.1\r\nhost: rebound.example\r\nauthorization: Bearer ${key.key}\r\n\r\n`)
  assert.match(await raw.until('cross_site'), /^HTTP\/1.1 403/)
  raw.destroy()
  assert.ok(lines.length > 0)
  assert.ok(!JSON.stringify(lines).includes(key.key.slice(-72)))
})

test('no database is opened for a key that cannot be in it, and who goes on with wrong ones is held off', async () => {
  await using app = await startApp({ variables: { PARLEY_LIMIT_ADDRESS_REQUESTS_PER_MINUTE: '5' } })
  const { call } = nativeClient(app.url)
  const headers = { authorization: `Bearer ${newKeyText(newId('key'))}` }
  const { status, body } = await call('GET', '/api/v1/me', undefined, headers)
  assert.deepEqual([status, body.error.message], [401, 'There is no such key.'])
  assert.deepEqual((await call('GET', '/api/v1/keys')).body, { items: [], next: null })
  const wrong = async () => (await call('GET', '/api/v1/me', undefined, headers)).status
  assert.deepEqual([await wrong(), await wrong(), await wrong(), await wrong()], [401, 401, 401, 429])
  assert.ok(app.env.sql.engine === 'pglite' && !existsSync(app.env.sql.path))
})

test('whoever goes on with the database, and serves other tenants from now on, takes no keys of those before', async () => {
  await using postgres = await sharedPostgres()
  await using issuer = await startOidcIssuer()
  const variables = { DATABASE_URL: await postgres.createDatabase() }
  const keys: string[] = []
  const make = async (url: string, as?: Record<string, string>) => {
    keys.push((await nativeClient(url).call('POST', '/api/v1/keys', { name: 'a tool' }, as)).body.key)
  }
  const taken = async (url: string) => {
    const answers = keys.map((key) =>
      nativeClient(url).call('GET', '/api/v1/me', undefined, { authorization: `Bearer ${key}` }),
    )
    return (await Promise.all(answers)).map(({ body }) => body.tenant ?? body.error.message)
  }
  const refused = 'Tokens of this tenant are not accepted.'
  {
    await using local = await startApp({ variables })
    await make(local.url)
    assert.deepEqual(await taken(local.url), ['local'])
  }
  const { home, guest } = issuer
  {
    await using entra = await startEntraApp({ issuer, variables })
    await make(entra.url, await entra.as({ oid: 'ana' }))
    await make(entra.url, await entra.as({ oid: 'gus', tenant: guest }))
    assert.deepEqual(await taken(entra.url), [refused, home.id, guest.id])
  }
  await using alone = await startEntraApp({ issuer, variables: { ...variables, PARLEY_ENTRA_GUESTS: '' } })
  assert.deepEqual(await taken(alone.url), [refused, home.id, refused])
})
