import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { execute, noOwnPostgres } from '../support/postgres.ts'
import { startSharedEngines } from '../support/shared-engines.ts'

test('PostgreSQL away: who was here goes on with the copy of their key, who is new is told so, and nobody gets a second key', {
  skip: await noOwnPostgres(),
}, async () => {
  await using engines = await startSharedEngines({ ownPostgres: true })
  await using app = await startEntraApp({ variables: engines.variables })
  await using other = await startEntraApp({ variables: engines.variables, issuer: app.issuer })
  const [known, fresh] = [await app.as({ oid: 'known' }), await app.as({ oid: 'fresh' })]
  const begin = (url: string, headers: Record<string, string>, title: string) =>
    nativeClient(url).call('POST', '/api/v1/conversations', { specialist: 'apollo', title }, headers)
  const first = await begin(app.url, known, 'before')
  assert.equal(first.status, 201, JSON.stringify(first.body))

  await engines.postgres.stop()
  // A replica that has never had the key in its memory.
  const second = await begin(other.url, known, 'meanwhile')
  assert.equal(second.status, 201, JSON.stringify(second.body))
  const turns = `/api/v1/conversations/${second.body.id}/turns`
  const turn = await nativeClient(other.url).call('POST', turns, { message: 'Are you there?' }, known)
  assert.equal(turn.body.status, 'completed', JSON.stringify(turn.body))
  const refused = await begin(other.url, fresh, 'too early')
  assert.deepEqual([refused.status, refused.body.error.code], [503, 'database_unavailable'])
  const erased = await nativeClient(other.url).call('DELETE', '/api/v1/me?confirm=erase-everything', undefined, known)
  assert.deepEqual([erased.status, erased.body.error.code], [503, 'database_unavailable'])

  await engines.postgres.start()
  for (let tries = 0; (await begin(other.url, fresh, 'now')).status !== 201; tries++) {
    assert.ok(tries < 3000, 'it is found again')
    await setTimeout(20)
  }
  // On the replica whose key was only read while there was nothing to keep it in.
  assert.equal((await begin(other.url, known, 'afterwards')).status, 201)
  const url = Object.assign(new URL(engines.postgres.url), {
    pathname: new URL(engines.variables.DATABASE_URL ?? '').pathname,
  })
  const keys = await execute(
    url.href,
    'SELECT owner, count(*)::int AS keys FROM data_keys GROUP BY owner ORDER BY owner',
  )
  assert.deepEqual(keys, [
    { owner: 'fresh', keys: 1 },
    { owner: 'known', keys: 1 },
  ])
})
