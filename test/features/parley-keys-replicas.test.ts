import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type KeyApp, startKeyApp } from '../support/key-app.ts'
import { collect, nativeClient } from '../support/native-client.ts'
import { RpcClient } from '../support/rpc-client.ts'
import { type SharedEngines, startSharedEngines } from '../support/shared-engines.ts'

/** Two replicas over Redis, PostgreSQL and a broker: what is done to a key on one is so on the other. */

let engines: SharedEngines
let here: KeyApp
let there: KeyApp
before(async () => {
  engines = await startSharedEngines()
  here = await startKeyApp({ variables: engines.variables })
  const { upstream, app } = here
  there = await startKeyApp({ upstream, issuer: app.issuer, variables: engines.variables })
})
after(async () => {
  await there[Symbol.asyncDispose]()
  await here[Symbol.asyncDispose]()
  await engines[Symbol.asyncDispose]()
})

const ana = { oid: 'ana' }
const endless = 'mock: tokens=100000 pace=20'

test('revoked on one replica, within a second a key is good nowhere, and nothing that it had under way goes on', async (context) => {
  const { call, stream } = nativeClient(there.app.url)
  const { id, headers } = await here.keyOf(ana)
  const other = await here.keyOf(ana)
  const begin = async (by: Record<string, string>) => {
    const { body } = await call('POST', '/api/v1/conversations', { specialist: 'plain' }, by)
    const begun = await stream(body.id, endless, { headers: by })
    assert.equal((await begun.events.next()).done, false)
    return begun
  }
  const [turn, othersTurn] = [await begin(headers), await begin(other.headers)]
  const socket = await RpcClient.connect(there.app.url, 'plain', { headers })
  const relayed = await fetch(`${there.app.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'default', stream: true, messages: [{ role: 'user', content: endless }] }),
  })
  assert.equal(relayed.status, 200)

  const revoked = await nativeClient(here.app.url).call(
    'DELETE',
    `/api/v1/keys/${id}`,
    undefined,
    await here.app.as(ana),
  )
  assert.equal(revoked.status, 204, JSON.stringify(revoked.body))
  const answeredAt = performance.now()
  const took: string[] = []
  const timed = async <Value>(what: string, value: Promise<Value>) => {
    const got = await value
    took.push(`${what} ${Math.round(performance.now() - answeredAt)} ms`)
    return got
  }
  const [events, text, closed] = await Promise.all([
    timed('turn', collect(turn.events)),
    timed('completion', relayed.text()),
    timed('WebSocket', socket.closed),
  ])
  assert.match(JSON.stringify(events.at(-1)), /unauthenticated/)
  assert.match(text.slice(-500), /unauthenticated/)
  assert.deepEqual([closed.code, closed.reason], [1008, 'credential ended'])
  assert.equal((await call('GET', '/api/v1/me', undefined, headers)).status, 401)
  // Said, not judged: the machine may have other things to do.
  context.diagnostic(`closed on the other replica after the answer: ${took.join(', ')}`)

  // The turn itself is over, not only unread.
  await Promise.all(there.upstream.requests.slice(0, 1).map(({ closed: over }) => over))
  assert.equal((await othersTurn.events.next()).done, false)
  const stop = await call('POST', `/api/v1/turns/${othersTurn.turn}/cancel`, undefined, other.headers)
  assert.equal(stop.status, 202)
  assert.equal((await collect(othersTurn.events)).at(-1)?.type, 'turn.cancelled')
})

test('rotated on one replica, both texts are good on the other, and after the next rotation the first is not', async () => {
  const { call } = nativeClient(here.app.url)
  const maker = await here.app.as(ana)
  const { id, headers: first } = await here.keyOf(ana)
  const statusThere = async (headers: Record<string, string>) =>
    (await nativeClient(there.app.url).call('GET', '/api/v1/me', undefined, headers)).status
  assert.equal(await statusThere(first), 200)
  const rotate = async (version: number) => {
    const { body } = await call('POST', `/api/v1/keys/${id}/rotate`, {}, { ...maker, 'if-match': `"${version}"` })
    return { authorization: `Bearer ${body.key}` }
  }
  const second = await rotate(1)
  assert.deepEqual([await statusThere(first), await statusThere(second)], [200, 200])
  const third = await rotate(2)
  while ((await statusThere(first)) === 200) {}
  assert.deepEqual([await statusThere(first), await statusThere(second), await statusThere(third)], [401, 200, 200])
})

test('runs that a key asked for and that wait are not done once it is revoked', async () => {
  const { call } = nativeClient(here.app.url)
  const { id, headers } = await here.keyOf(ana, { actions: ['*'] })
  const admin = await here.app.as({ oid: 'admin', roles: ['Admin'] })
  const asked = { arguments: { expression: '1+1' } }
  const { body: run } = await call('POST', '/api/v1/actions/confirmed/runs', asked, headers)
  assert.equal(run.status, 'awaiting-approval', JSON.stringify(run))
  const other = await here.app.as({ oid: 'ben' })
  assert.equal((await call('DELETE', `/api/v1/keys/${id}`, undefined, await here.app.as(ana))).status, 204)
  const approve = { hash: run.argumentsHash }
  const { status } = await call('POST', `/api/v1/runs/${run.id}/approve`, approve, other)
  assert.equal(status, 200)
  const read = async () => (await call('GET', `/api/v1/runs/${run.id}`, undefined, admin)).body
  let now = await read()
  while (now.settledAt === null) now = await read()
  assert.deepEqual([now.status, now.reason], ['dead-lettered', 'key_ended'])
})
