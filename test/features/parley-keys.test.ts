import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import OpenAI from 'openai'
import { type KeyApp, startKeyApp } from '../support/key-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { RpcClient, refusedHandshake } from '../support/rpc-client.ts'

/** Tools that can hold nothing but a static key, through the whole app behind Entra ID. */

let world: KeyApp
let call: ReturnType<typeof nativeClient>['call']
before(async () => {
  world = await startKeyApp()
  call = nativeClient(world.app.url).call
})
after(() => world[Symbol.asyncDispose]())

const ana = { oid: 'ana' }
const say = (content: string) => [{ role: 'user' as const, content }]
const openAi = (key: string) => new OpenAI({ baseURL: `${world.app.url}/v1`, apiKey: key, maxRetries: 0 })

test('a tool with a key has conversations and turns of its own, which its maker does not see', async () => {
  const { id, headers } = await world.keyOf(ana)
  const me = await call('GET', '/api/v1/me', undefined, headers)
  assert.deepEqual([me.body.id, me.body.kind, me.body.roles, me.body.name], [id, 'service', ['Chat.User'], 'a tool'])
  assert.deepEqual([me.body.tenant, me.body.key.owner], [world.app.issuer.home.id, 'ana'])
  const { body: conversation } = await call('POST', '/api/v1/conversations', { specialist: 'plain' }, headers)
  const path = `/api/v1/conversations/${conversation.id}`
  const turn = await call('POST', `${path}/turns`, { message: 'mock: tokens=3' }, headers)
  assert.deepEqual([turn.status, turn.body.status], [200, 'completed'])
  assert.equal((await call('GET', path, undefined, await world.app.as(ana))).status, 404)
  assert.equal((await call('GET', path, undefined, { 'api-key': headers.authorization?.slice(7) ?? '' })).status, 200)
  assert.equal((await call('GET', path, undefined, (await world.keyOf(ana)).headers)).status, 404)
})

test('the official client of OpenAI holds a key', async () => {
  const { key } = await world.keyOf(ana, { chat: ['default', 'helper'] })
  const client = openAi(key)
  assert.deepEqual((await Array.fromAsync(client.models.list())).map(({ id }) => id).sort(), ['default', 'helper'])
  for (const model of ['default', 'helper']) {
    const { choices } = await client.chat.completions.create({ model, messages: say('mock: tokens=3') })
    assert.equal(choices[0]?.finish_reason, 'stop')
    const stream = await client.chat.completions.create({ model, messages: say('mock: tokens=3'), stream: true })
    assert.ok((await Array.fromAsync(stream)).length > 1)
  }
  for (const refused of [
    () => client.chat.completions.create({ model: 'plain', messages: say('hello') }),
    () => client.models.retrieve('plain'),
  ]) {
    await assert.rejects(
      refused,
      (error) => error instanceof OpenAI.PermissionDeniedError && error.code === 'key_scope',
    )
  }
  await assert.rejects(openAi(`${key.slice(0, -1)}x`).models.list(), OpenAI.AuthenticationError)
})

test('a WebSocket is opened with a key, for what it was made for', async () => {
  const { headers } = await world.keyOf(ana, { chat: ['plain'] })
  const client = await RpcClient.connect(world.app.url, 'plain', { headers })
  const { result } = await client.call('chat', { message: 'mock: tokens=3' })
  assert.equal((await client.eventsOf(result?.turn)).at(-1)?.event, 'turn.completed')
  await client.close()
  const refused = await refusedHandshake(world.app.url, 'helper', { headers })
  assert.deepEqual([refused.status, refused.body.error.code], [403, 'key_scope'])
})

test('a key for one specialist gets no other, on any way in', async () => {
  const { headers } = await world.keyOf(ana, { chat: ['plain'] })
  const listed = await call('GET', '/api/v1/specialists', undefined, headers)
  assert.deepEqual(
    listed.body.items.map((specialist: { id: string }) => specialist.id),
    ['plain'],
  )
  for (const [method, path, body] of [
    ['POST', '/api/v1/conversations', { specialist: 'helper' }],
    ['GET', '/api/v1/specialists/helper/stream?message=hello', undefined],
    ['GET', '/api/v1/specialists/nobody/stream?message=hello', undefined],
    ['POST', '/v1/chat/completions', { model: 'default', messages: say('hello') }],
  ] as const) {
    const { status, body: answer } = await call(method, path, body, headers)
    assert.deepEqual([status, answer.error.code], [403, 'key_scope'], path)
  }
  const none = await world.keyOf(ana, { chat: [] })
  assert.equal((await call('POST', '/api/v1/conversations', { specialist: 'plain' }, none.headers)).status, 403)
})

test('without actions a key gets no tools, and calls none that its model makes up', async () => {
  const { headers } = await world.keyOf(ana)
  const { body: conversation } = await call('POST', '/api/v1/conversations', { specialist: 'helper' }, headers)
  const calls = [{ name: 'calculate', arguments: '{"expression":"6*7"}' }]
  world.upstream.plan = [{ toolCalls: calls }, { tokens: 2 }]
  const seen = world.upstream.requests.length
  const path = `/api/v1/conversations/${conversation.id}/turns`
  const { body: turn } = await call('POST', path, { message: 'six times seven' }, headers)
  assert.equal(world.upstream.requests[seen]?.body.tools, undefined)
  assert.deepEqual(
    turn.receipt.runs.map(({ action, status }: Record<string, unknown>) => [action, status]),
    [['calculate', 'rejected']],
  )
  const run = await call('POST', '/api/v1/actions/calculate/runs', { arguments: { expression: '6*7' } }, headers)
  assert.deepEqual([run.status, run.body.error.code], [403, 'key_scope'])
  assert.deepEqual((await call('GET', '/api/v1/actions', undefined, headers)).body.items, [])
})

test('with actions it calls those it was made for, and none on behalf of a user it has not', async () => {
  const { headers } = await world.keyOf(ana, { actions: ['calculate', 'open_ticket'] })
  const { body: conversation } = await call('POST', '/api/v1/conversations', { specialist: 'helper' }, headers)
  world.upstream.plan = [{ toolCalls: [{ name: 'calculate', arguments: '{"expression":"6*7"}' }] }, { tokens: 2 }]
  const seen = world.upstream.requests.length
  const path = `/api/v1/conversations/${conversation.id}/turns`
  const { body: turn } = await call('POST', path, { message: 'six times seven' }, headers)
  const tools = world.upstream.requests[seen]?.body.tools as { function: { name: string } }[]
  assert.deepEqual(
    tools.map((tool) => tool.function.name),
    ['calculate'],
  )
  assert.equal(turn.receipt.runs[0]?.status, 'succeeded')
  const waited = { ...headers, prefer: 'wait=10' }
  const run = await call('POST', '/api/v1/actions/calculate/runs', { arguments: { expression: '6*7' } }, waited)
  assert.deepEqual([run.body.status, run.body.owner.name], ['succeeded', 'a tool'])
  const behalf = await call('POST', '/api/v1/actions/open_ticket/runs', { arguments: {} }, headers)
  assert.deepEqual([behalf.status, behalf.body.error.code], [403, 'forbidden'])
  assert.match(behalf.body.error.message, /on behalf of a user/)
  const listed = await call('GET', '/api/v1/actions', undefined, headers)
  assert.deepEqual(
    listed.body.items.map((action: { name: string }) => action.name),
    ['calculate'],
  )
})

test('a key approves nothing, not even what whoever asked may confirm', async () => {
  const { headers } = await world.keyOf(ana, { actions: ['*'] })
  const asked = { arguments: { expression: '1+1' } }
  const { body: run } = await call('POST', '/api/v1/actions/confirmed/runs', asked, headers)
  assert.equal(run.status, 'awaiting-approval')
  const approve = await call('POST', `/api/v1/runs/${run.id}/approve`, { hash: run.argumentsHash }, headers)
  assert.deepEqual([approve.status, approve.body.error.code], [403, 'forbidden'])
  const { body: own } = await call('POST', '/api/v1/actions/confirmed/runs', asked, await world.app.as(ana))
  const hash = { hash: own.argumentsHash }
  assert.equal((await call('POST', `/api/v1/runs/${own.id}/approve`, hash, await world.app.as(ana))).status, 200)
  assert.equal((await call('POST', `/api/v1/runs/${run.id}/cancel`, undefined, headers)).status, 200)
})

test('a key neither manages keys nor operates, whatever its maker may do', async () => {
  const admin = {
    oid: 'admin',
    roles: ['Chat.User', 'Admin', 'Config.Operator', 'Finance.Operator', 'Privacy.Officer'],
  }
  const { id, headers } = await world.keyOf(admin, { actions: ['*'] })
  for (const [method, path, body] of [
    ['POST', '/api/v1/keys', { name: 'another' }],
    ['GET', '/api/v1/keys', undefined],
    ['GET', `/api/v1/keys/${id}`, undefined],
    ['DELETE', `/api/v1/keys/${id}`, undefined],
  ] as const) {
    const { status, body: answer } = await call(method, path, body, headers)
    assert.deepEqual([status, answer.error.code], [403, 'key_scope'], `${method} ${path}`)
  }
  for (const path of [
    '/api/v1/config/versions',
    '/api/v1/budgets',
    '/api/v1/kill-switches',
    '/api/v1/audit',
    '/metrics',
  ]) {
    assert.equal((await call('GET', path, undefined, headers)).status, 403, path)
  }
  const picked = await call(
    'POST',
    '/api/v1/conversations',
    { specialist: 'plain' },
    { ...headers, 'x-parley-config': 'v1' },
  )
  assert.equal(picked.status, 403)
})

test('a guest’s key is a guest’s: of its tenant, and nothing to do with the home tenant’s Admin', async () => {
  const guest = { oid: 'guest', tenant: world.app.issuer.guest, roles: ['Chat.User', 'Admin'] }
  const { id, headers } = await world.keyOf(guest)
  assert.equal((await call('GET', '/api/v1/me', undefined, headers)).body.tenant, world.app.issuer.guest.id)
  const admin = await world.app.as({ oid: 'admin', roles: ['Admin'] })
  assert.equal((await call('GET', `/api/v1/keys/${id}`, undefined, admin)).status, 404)
  assert.equal((await call('DELETE', `/api/v1/keys/${id}`, undefined, admin)).status, 404)
  assert.equal((await call('GET', '/api/v1/keys?whose=tenant', undefined, await world.app.as(guest))).status, 403)
  const none = await world.app.as({ oid: 'nobody', roles: ['Config.Operator'] })
  assert.equal((await call('POST', '/api/v1/keys', { name: 'x' }, none)).status, 403)
})

test('what a key was made with may be spent, and no more; its maker’s budget is spent, too', async () => {
  const { headers } = await world.keyOf({ oid: 'payer' }, { budget: { limitUsd: 1, period: 'month' } })
  const ask = (tokens: number, by = headers) =>
    call(
      'POST',
      '/v1/chat/completions',
      { model: 'default', max_tokens: 100, messages: say(`mock: tokens=${tokens}`) },
      by,
    )
  // 100 tokens, the most that an answer has, cost 0.8 USD.
  assert.equal((await ask(50)).status, 200)
  const over = await ask(50)
  assert.deepEqual([over.status, over.body.error.code], [402, 'budget_exceeded'])
  const calls = async () => (await call('GET', '/api/v1/usage', undefined, headers)).body.total.calls
  // Kept a moment later.
  while ((await calls()) === 0) await pause(25)
  assert.equal(await calls(), 1)

  const finance = await world.app.as({ oid: 'finance', roles: ['Finance.Operator'] })
  const scope = `user:${world.app.issuer.home.id}:other-payer`
  const set = await call('PUT', `/api/v1/budgets/${scope}`, { limitUsd: 1, period: 'day' }, finance)
  assert.equal(set.status, 200)
  const other = await world.keyOf({ oid: 'other-payer' })
  assert.equal((await ask(50, other.headers)).status, 200)
  assert.equal((await ask(50, other.headers)).status, 402)
  assert.equal((await ask(50, await world.app.as({ oid: 'other-payer' }))).status, 402)
  for (const method of ['PUT', 'DELETE']) {
    const own = `key:${world.app.issuer.home.id}:x`
    const body = method === 'PUT' ? { limitUsd: 9, period: 'day' } : undefined
    assert.equal((await call(method, `/api/v1/budgets/${own}`, body, { ...finance, 'if-match': '"1"' })).status, 400)
  }
})

test('rotated and revoked over HTTP: by what was seen, with the text shown once', async () => {
  const maker = await world.app.as(ana)
  const { id, headers } = await world.keyOf(ana)
  const seen = await call('GET', `/api/v1/keys/${id}`, undefined, maker)
  assert.equal(seen.headers.get('etag'), '"1"')
  assert.ok(!JSON.stringify(seen.body).includes('parley_'))
  const rotate = (match: Record<string, string>, body = {}) =>
    call('POST', `/api/v1/keys/${id}/rotate`, body, { ...maker, ...match })
  assert.equal((await rotate({})).status, 428)
  assert.equal((await rotate({ 'if-match': '"9"' })).status, 412)
  const rotated = await rotate({ 'if-match': '"1"' })
  assert.deepEqual([rotated.status, rotated.body.version, rotated.headers.get('etag')], [200, 2, '"2"'])
  const next = { authorization: `Bearer ${rotated.body.key}` }
  for (const good of [headers, next]) assert.equal((await call('GET', '/api/v1/me', undefined, good)).status, 200)
  assert.equal((await call('DELETE', `/api/v1/keys/${id}`, undefined, maker)).status, 204)
  for (const bad of [headers, next]) {
    const { status, body } = await call('GET', '/api/v1/me', undefined, bad)
    assert.deepEqual([status, body.error.code, body.error.message], [401, 'unauthenticated', 'The key was revoked.'])
  }
  assert.equal((await call('DELETE', `/api/v1/keys/${id}`, undefined, maker)).status, 204)
  assert.equal((await rotate({ 'if-match': '"3"' })).body.error.code, 'key_state')
})

test('what a key may be made with ends where it is said to', async () => {
  const maker = await world.app.as({ oid: 'edges' })
  const make = async (body: Record<string, unknown>, more: Record<string, string> = {}) =>
    call('POST', '/api/v1/keys', body, { ...maker, ...more })
  const names = (count: number) => Array.from({ length: count }, (_, at) => `name${at}`)
  const good: Record<string, unknown>[] = [
    { name: 'n'.repeat(100), days: 365 },
    { name: 'n', days: 1, chat: names(50), actions: names(50) },
    { name: 'n', chat: ['*'], budget: { limitUsd: 0.01, period: 'day' } },
  ]
  for (const body of good) assert.equal((await make(body)).status, 201, JSON.stringify(body))
  const bad: [Record<string, unknown>, string][] = [
    [{}, 'name'],
    [{ name: '' }, 'name'],
    [{ name: ' ' }, 'name'],
    [{ name: 'two\nlines' }, 'name'],
    [{ name: 'n'.repeat(101) }, 'name'],
    [{ name: 'n', days: 366 }, 'days'],
    [{ name: 'n', days: 0 }, 'days'],
    [{ name: 'n', days: 1.5 }, 'days'],
    [{ name: 'n', chat: names(51) }, 'chat'],
    [{ name: 'n', actions: ['a', 'a'] }, 'actions'],
    [{ name: 'n', actions: ['a b'] }, 'actions.0'],
    [{ name: 'n', budget: { limitUsd: 0, period: 'day' } }, 'budget.limitUsd'],
    [{ name: 'n', budget: { limitUsd: 1, period: 'year' } }, 'budget.period'],
    [{ name: 'n', roles: ['Admin'] }, 'roles'],
    [{ name: 'n', owner: 'ben' }, 'owner'],
  ]
  for (const [body, param] of bad) {
    const { status, body: answer } = await make(body)
    assert.deepEqual([status, answer.error.param], [400, param], JSON.stringify(body))
  }
  const first = await make({ name: 'once' }, { 'idempotency-key': 'once' })
  const again = await make({ name: 'once' }, { 'idempotency-key': 'once' })
  assert.deepEqual([first.status, again.status, again.body.id, again.body.key], [201, 200, first.body.id, null])
  assert.equal((await make({ name: 'other' }, { 'idempotency-key': 'once' })).status, 422)
  const { body: page } = await call('GET', '/api/v1/keys?limit=2', undefined, maker)
  assert.equal(page.items.length, 2)
  const { body: rest } = await call('GET', `/api/v1/keys?limit=50&cursor=${page.next}`, undefined, maker)
  assert.deepEqual([rest.items.length, rest.next], [2, null])
  for (const query of ['limit=0', 'limit=201', 'cursor=x', 'whose=all', 'owner=ana']) {
    assert.equal((await call('GET', `/api/v1/keys?${query}`, undefined, maker)).status, 400, query)
  }
  const admin = await world.app.as({ oid: 'admin', roles: ['Admin'] })
  const uuid = 'abcdef01-2345-6789-abcd-ef0123456789'
  const { id } = await world.keyOf({ oid: uuid }, { chat: ['plain'] })
  const { body: theirs } = await call('GET', `/api/v1/keys?whose=tenant&owner=${uuid.toUpperCase()}`, undefined, admin)
  assert.deepEqual(
    theirs.items.map((key: { id: string }) => key.id),
    [id],
  )
  for (const owner of ['%00', 'a%00b', '%0A', '%20']) {
    const refused = await call('GET', `/api/v1/keys?whose=tenant&owner=${owner}`, undefined, admin)
    assert.deepEqual([refused.status, refused.body.error.param], [400, 'owner'], owner)
  }
})

test('what was done to keys stands in the audit log, and that some were refused', async () => {
  const maker = { oid: 'audited' }
  const { id } = await world.keyOf(maker, { chat: ['plain'], actions: ['calculate'] })
  const headers = await world.app.as(maker)
  const rotation = { ...headers, 'if-match': '"1"' }
  assert.equal((await call('POST', `/api/v1/keys/${id}/rotate`, { overlapMinutes: 0 }, rotation)).status, 200)
  await call('DELETE', `/api/v1/keys/${id}`, undefined, headers)
  const admin = await world.app.as({ oid: 'admin', roles: ['Admin'] })
  const { body } = await call('GET', '/api/v1/audit?limit=200', undefined, admin)
  const entries = body.items.filter(({ subject }: { subject: string }) => subject === id)
  assert.deepEqual(
    entries.map(({ kind }: { kind: string }) => kind),
    ['key.revoked', 'key.rotated', 'key.created'],
  )
  assert.deepEqual([entries[2].details.chat, entries[2].details.actions], ['plain', 'calculate'])
  assert.equal(new Set(entries.map(({ actor }: { actor: string }) => actor)).size, 1)
  assert.ok(!JSON.stringify(body).includes('a tool'))
})

test('a person has the keys they made in their export, and erased, they have none', async () => {
  const maker = { oid: 'leaver' }
  const made = await world.keyOf(maker)
  const headers = await world.app.as(maker)
  const { body: data } = await call('GET', '/api/v1/me/export', undefined, headers)
  assert.deepEqual(
    data.keys.map((key: { id: string; name: string }) => [key.id, key.name]),
    [[made.id, 'a tool']],
  )
  const officer = await world.app.as({ oid: 'officer', roles: ['Privacy.Officer'] })
  const erase = { person: 'leaver', confirm: 'erase-everything' }
  const { body: erasure } = await call('POST', '/api/v1/privacy/erasures', erase, officer)
  assert.equal(erasure.places.find(({ place }: { place: string }) => place === 'keys').erased, 1)
  assert.equal((await call('GET', '/api/v1/me', undefined, made.headers)).status, 401)
  const admin = await world.app.as({ oid: 'admin', roles: ['Admin'] })
  const { body: key } = await call('GET', `/api/v1/keys/${made.id}`, undefined, admin)
  assert.deepEqual([key.owner, key.name, key.status], [null, '', 'revoked'])
})
