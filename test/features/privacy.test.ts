import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { type Owner, partitionOf } from '#identity/principal.ts'
import { startApp, type TestAppOptions } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { execute } from '../support/postgres.ts'
import { startSharedEngines } from '../support/shared-engines.ts'
import { startUpstream } from '../support/upstream.ts'

const PURPOSES = ['memory', 'shadow', 'experiments', 'analytics']

/** Somebody who talks, has things done, says what they think of it and agrees to something. */
async function live(
  app: EntraApp,
  oid: string,
): Promise<{ mark: string; conversation: string; turn: string; run: string }> {
  const mark = `mark-${randomUUID()}`
  const headers = await app.as({ oid })
  const { call } = nativeClient(app.url)
  const conversation = await call('POST', '/api/v1/conversations', { specialist: 'hermes', title: mark }, headers)
  assert.equal(conversation.status, 201, JSON.stringify(conversation.body))
  const turns = `/api/v1/conversations/${conversation.body.id}/turns`
  const turn = await call('POST', turns, { message: `Say ${mark}` }, headers)
  assert.equal(turn.body.status, 'completed', JSON.stringify(turn.body))
  const feedback = { rating: 'up', comment: mark }
  assert.equal((await call('POST', `/api/v1/turns/${turn.body.id}/feedback`, feedback, headers)).status, 204)
  const asked = { arguments: { title: mark, priority: 'low' } }
  const run = await call('POST', '/api/v1/actions/create_ticket/runs', asked, { ...headers, prefer: 'wait=30' })
  assert.equal(run.body.status, 'succeeded', JSON.stringify(run.body))
  assert.equal((await call('PUT', '/api/v1/me/consents', { memory: true }, headers)).status, 200)
  const alone = { model: 'hermes', messages: [{ role: 'user', content: `Alone ${mark}` }] }
  assert.equal((await call('POST', '/v1/chat/completions', alone, headers)).status, 200)
  return { mark, conversation: conversation.body.id, turn: turn.body.id, run: run.body.id }
}

function checkExport(
  text: string,
  { mark, conversation, turn, run }: Awaited<ReturnType<typeof live>>,
  oid: string,
): void {
  const found = JSON.parse(text)
  assert.equal(found.person.id, oid)
  const [first] = found.conversations
  assert.deepEqual([first.conversation.id, first.conversation.title], [conversation, mark])
  assert.match(first.messages[0].content, new RegExp(mark))
  assert.deepEqual([first.turns[0].id, first.turns[0].feedback.comment], [turn, mark])
  assert.ok(first.turns[0].receipt, 'with its receipt')
  const [alone] = found.conversations.slice(1)
  assert.deepEqual([found.conversations.length, alone.conversation, alone.turns.length], [2, null, 1])
  assert.ok(alone.turns[0].receipt)
  assert.deepEqual([found.runs.length, found.runs[0].id, found.runs[0].arguments.title], [1, run, mark])
  assert.ok(found.runs[0].result)
  assert.deepEqual(
    found.consents.map(({ purpose, given }: { purpose: string; given: boolean }) => [purpose, given]),
    PURPOSES.map((purpose) => [purpose, purpose === 'memory']),
  )
  assert.ok(found.usage.length > 0)
}

function walk(
  name: string,
  withEngines: () => Promise<AsyncDisposable & TestAppOptions & { left?(owner: Owner): Promise<unknown> }>,
) {
  test(`${name}: a person has everything about themselves, is erased with a proof, and nobody else is touched`, async () => {
    await using engines = await withEngines()
    await using app = await startEntraApp(engines)
    const { call } = nativeClient(app.url)
    const [ana, ben] = [await live(app, 'ana'), await live(app, 'ben')]
    const headers = await app.as({ oid: 'ana' })
    const officer = await app.as({ oid: 'officer', roles: ['Privacy.Officer'] })
    const stranger = await app.as({ oid: 'officer', tenant: app.issuer.guest, roles: ['Privacy.Officer', 'Chat.User'] })
    const exportOf = async (path: string, given: RequestInit) => {
      const response = await fetch(app.url + path, given)
      const text = await response.text()
      assert.equal(response.status, 200, text)
      return text
    }

    const own = await exportOf('/api/v1/me/export', { headers })
    checkExport(own, ana, 'ana')
    const json = { 'content-type': 'application/json' }
    const body = JSON.stringify({ person: 'ana' })
    const byOfficer = { method: 'POST', headers: { ...officer, ...json }, body }
    checkExport(await exportOf('/api/v1/privacy/exports', byOfficer), ana, 'ana')
    const byStranger = { method: 'POST', headers: { ...stranger, ...json }, body }
    const foreign = await exportOf('/api/v1/privacy/exports', byStranger)
    assert.ok(!foreign.includes(ana.mark))
    assert.equal((await call('POST', '/api/v1/privacy/exports', { person: 'ben' }, headers)).status, 403)

    assert.equal((await call('GET', '/api/v1/me/erasure', undefined, headers)).status, 404)
    assert.equal((await call('DELETE', '/api/v1/me', undefined, headers)).status, 400)
    const erased = await call('DELETE', '/api/v1/me?confirm=erase-everything', undefined, headers)
    assert.equal(erased.status, 200, JSON.stringify(erased.body))
    const owner = { tenant: app.issuer.home.id, id: 'ana' }
    assert.deepEqual(await engines.left?.(owner), engines.left && [])
    const { status, person, finishedAt, places } = erased.body
    assert.deepEqual([status, person], ['erased', partitionOf(owner)])
    assert.ok(finishedAt > 0)
    const counts = new Map<string, number>(
      places.map(({ place, erased }: { place: string; erased: number }) => [place, erased]),
    )
    for (const place of ['data-key', 'runs', 'ledger', 'live-state', 'consents']) {
      assert.ok((counts.get(place) ?? 0) > 0, `${place} of ${JSON.stringify(places)}`)
    }
    assert.deepEqual((await call('GET', '/api/v1/me/erasure', undefined, headers)).body, erased.body)
    const asOfficer = await call('GET', '/api/v1/privacy/erasures?person=ana', undefined, officer)
    assert.deepEqual(asOfficer.body, erased.body)
    assert.equal((await call('GET', '/api/v1/privacy/erasures?person=ana', undefined, stranger)).status, 404)

    for (const path of [
      `conversations/${ana.conversation}`,
      `conversations/${ana.conversation}/messages`,
      `turns/${ana.turn}`,
      `runs/${ana.run}`,
    ]) {
      assert.equal((await call('GET', `/api/v1/${path}`, undefined, headers)).status, 404, path)
    }
    const after = JSON.parse(await exportOf('/api/v1/me/export', { headers }))
    assert.deepEqual([after.conversations, after.runs, after.usage], [[], [], []])
    checkExport(await exportOf('/api/v1/me/export', { headers: await app.as({ oid: 'ben' }) }), ben, 'ben')

    for (const person of ['a\u0000', '\ud800']) {
      const [asked, erasing] = [{ person }, { person, confirm: 'erase-everything' }]
      assert.equal((await call('POST', '/api/v1/privacy/exports', asked, officer)).status, 400)
      assert.equal((await call('POST', '/api/v1/privacy/erasures', erasing, officer)).status, 400)
    }
    assert.equal((await call('GET', '/api/v1/privacy/erasures?person=%00', undefined, officer)).status, 400)

    // However the id is written, it is the same person's.
    const uuid = 'abcdef01-2345-6789-abcd-ef0123456789'
    const cased = { person: uuid.toUpperCase(), confirm: 'erase-everything' }
    const { body: erasure } = await call('POST', '/api/v1/privacy/erasures', cased, officer)
    assert.equal(erasure.person, partitionOf({ ...owner, id: uuid }))
    assert.ok(
      erasure.places.every(({ erased }: { erased: number }) => erased === 0),
      'of whom there was nothing',
    )

    // A new start, by an officer ended again.
    const anew = await live(app, 'ana')
    const again = await call(
      'POST',
      '/api/v1/privacy/erasures',
      { person: 'ana', confirm: 'erase-everything' },
      officer,
    )
    assert.deepEqual([again.status, again.body.status], [200, 'erased'])
    assert.equal((await call('GET', `/api/v1/runs/${anew.run}`, undefined, headers)).status, 404)
  })
}

walk('embedded', async () => ({ [Symbol.asyncDispose]: async () => {} }))

walk('Redis and PostgreSQL', async () => {
  const engines = await startSharedEngines()
  return {
    variables: engines.variables,
    [Symbol.asyncDispose]: () => engines[Symbol.asyncDispose](),
    /** What of the person is still there, by name or in the person's partition. */
    async left(owner) {
      const redis = new Redis(engines.redis.url)
      const keys = await redis.keys(`{${partitionOf(owner)}}*`)
      redis.disconnect()
      const url = Object.assign(new URL(engines.postgres.url), {
        pathname: new URL(engines.variables.DATABASE_URL ?? '').pathname,
      })
      const rows = await execute(
        url.href,
        `SELECT 'turns' AS in FROM turns WHERE tenant = '${owner.tenant}' AND owner = '${owner.id}' UNION ALL
         SELECT 'runs' FROM runs WHERE tenant = '${owner.tenant}' AND owner = '${owner.id}' UNION ALL
         SELECT 'data_keys' FROM data_keys WHERE tenant = '${owner.tenant}' AND owner = '${owner.id}' UNION ALL
         SELECT 'ledger' FROM ledger WHERE person = '${partitionOf(owner)}'`,
      )
      return [...keys.filter((name) => !name.endsWith('}data-key')), ...rows]
    },
  }
})

test('who is erased while an answer is under way: it stops, and nothing of it stays', async () => {
  const upstream = await startUpstream([{ tokens: 3000, pace: 100 }])
  await using _ended = { [Symbol.asyncDispose]: () => upstream.close() }
  const config = chatConfig({ only: upstreamModel('only', upstream.baseUrl) })
  await using app = await startApp({ config, variables: { PARLEY_EGRESS_HOSTS: upstream.host } })
  const client = nativeClient(app.url)
  const conversation = await client.conversation('plain')
  const { turn, events } = await client.stream(conversation, 'Go on for long.')
  const seen: string[] = []
  for await (const { type } of events) {
    seen.push(type)
    if (type === 'token' && seen.filter((each) => each === 'token').length === 1) {
      const erased = await client.call('DELETE', '/api/v1/me?confirm=erase-everything')
      assert.equal(erased.body.status, 'erased', JSON.stringify(erased.body))
    }
  }
  assert.ok(!seen.includes('turn.completed'), seen.join(' '))
  assert.equal((await client.call('GET', `/api/v1/turns/${turn}`)).status, 404)
  assert.deepEqual((await client.call('GET', '/api/v1/conversations')).body.items, [])
  const [asked] = upstream.requests
  await asked?.closed
  assert.equal(asked?.finished, false, 'the model is told to stop')
})
