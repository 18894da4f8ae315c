import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Conversation } from '#conversations/conversations.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig } from '../support/chat-config.ts'
import { collect, nativeClient } from '../support/native-client.ts'

let app: TestApp
let client: ReturnType<typeof nativeClient>

const offline = {
  provider: 'offline' as const,
  contextWindow: 32_000,
  continuation: 'restart' as const,
  price: { input: 0, output: 0 },
  pace: 100_000,
}

before(async () => {
  app = await startApp({ config: chatConfig({ primary: offline }) })
  client = nativeClient(app.url)
})

after(() => app.stop())

const base = '/api/v1/conversations'

test('a conversation is created, read, renamed and deleted', async () => {
  const created = await client.call('POST', base, { specialist: 'plain', title: 'Erste' })
  assert.equal(created.status, 201)
  const { id, createdAt, updatedAt, ...rest } = created.body as Conversation
  assert.equal(created.headers.get('location'), `${base}/${id}`)
  assert.deepEqual(rest, {
    specialist: 'plain',
    title: 'Erste',
    config: 'v1',
    arm: 'stable',
    messages: 0,
    liveTurn: null,
    version: 1,
  })
  assert.ok(Math.abs(Date.now() - createdAt) < 5000 && updatedAt >= createdAt)

  const read = await client.call('GET', `${base}/${id}`)
  assert.equal(read.status, 200)
  assert.deepEqual(read.body, created.body)
  assert.equal(read.headers.get('etag'), created.headers.get('etag'))

  const renamed = await client.call('PATCH', `${base}/${id}`, { title: 'Zweite' })
  assert.equal(renamed.status, 200)
  assert.equal(renamed.body.title, 'Zweite')
  assert.notEqual(renamed.headers.get('etag'), created.headers.get('etag'))

  const deleted = await client.call('DELETE', `${base}/${id}`)
  assert.equal(deleted.status, 204)
  for (const method of ['GET', 'DELETE']) {
    const gone = await client.call(method, `${base}/${id}`)
    assert.equal(gone.status, 404)
    assert.equal(gone.body.error.code, 'conversation_not_found')
  }
})

test('a rename with an outdated ETag is refused, and changes nothing', async () => {
  const { body, headers } = await client.call('POST', base, { specialist: 'plain', title: 'A' })
  const etag = headers.get('etag') ?? ''
  const first = await client.call('PATCH', `${base}/${body.id}`, { title: 'B' }, { 'if-match': etag })
  assert.equal(first.status, 200)
  for (const stale of [etag, '"nonsense"', `W/${first.headers.get('etag')}`]) {
    const second = await client.call('PATCH', `${base}/${body.id}`, { title: 'C' }, { 'if-match': stale })
    assert.equal(second.status, 412, stale)
    assert.equal(second.body.error.code, 'version_conflict')
  }
  assert.equal((await client.call('GET', `${base}/${body.id}`)).body.title, 'B')
  const any = await client.call('PATCH', `${base}/${body.id}`, { title: 'C' }, { 'if-match': '*' })
  assert.equal(any.body.title, 'C')
})

test('the list is paged, newest activity first', async () => {
  const created: string[] = []
  for (let n = 0; n < 5; n++) created.push(await client.conversation('plain'))
  const seen: string[] = []
  let cursor: string | null = null
  do {
    const query = cursor === null ? '?limit=2' : `?limit=2&cursor=${encodeURIComponent(cursor)}`
    const { status, body } = await client.call('GET', base + query)
    assert.equal(status, 200)
    assert.ok(body.items.length <= 2)
    seen.push(...body.items.map(({ id }: Conversation) => id))
    cursor = body.next
  } while (cursor !== null)
  assert.equal(new Set(seen).size, seen.length)
  assert.deepEqual(
    seen.filter((id) => created.includes(id)),
    created.toReversed(),
  )
})

test('messages are paged in their order', async () => {
  const conversation = await client.conversation('plain')
  for (const message of ['one', 'two']) await collect((await client.stream(conversation, message)).events)
  const all = await client.call('GET', `${base}/${conversation}/messages`)
  assert.equal(all.body.next, null)
  assert.deepEqual(
    all.body.items
      .filter(({ role }: { role: string }) => role === 'user')
      .map(({ content }: { content: string }) => content),
    ['one', 'two'],
  )
  const first = await client.call('GET', `${base}/${conversation}/messages?limit=1`)
  assert.ok(first.body.items.length < all.body.items.length)
  const rest = await client.call('GET', `${base}/${conversation}/messages?after=${first.body.next}`)
  assert.deepEqual([...first.body.items, ...rest.body.items], all.body.items)
})

test('what cannot be is refused, and the parameter named', async () => {
  const conversation = await client.conversation('plain')
  const cases: [method: string, path: string, body: unknown, status: number, code: string, param: string | null][] = [
    ['POST', '', {}, 400, 'invalid_request', 'specialist'],
    ['POST', '', { specialist: 'nobody' }, 404, 'specialist_not_found', 'specialist'],
    ['POST', '', { specialist: 'toString' }, 404, 'specialist_not_found', 'specialist'],
    ['POST', '', { specialist: '../x' }, 400, 'invalid_request', 'specialist'],
    ['POST', '', { specialist: 'plain', title: '' }, 400, 'invalid_request', 'title'],
    ['POST', '', { specialist: 'plain', title: 'x'.repeat(201) }, 400, 'invalid_request', 'title'],
    ['POST', '', { specialist: 'plain', title: 'two\nlines' }, 400, 'invalid_request', 'title'],
    ['POST', '', { specialist: 'plain', title: ' ' }, 400, 'invalid_request', 'title'],
    ['POST', '', { specialist: 'plain', arm: 'canary' }, 400, 'invalid_request', 'arm'],
    ['PATCH', `/${conversation}`, { title: 'a\u0000' }, 400, 'invalid_request', 'title'],
    ['PATCH', `/${conversation}`, {}, 400, 'invalid_request', 'title'],
    ['PATCH', '/conv_unknown', { title: 'a' }, 404, 'conversation_not_found', null],
    ['GET', '?limit=0', undefined, 400, 'invalid_request', 'limit'],
    ['GET', '?limit=101', undefined, 400, 'invalid_request', 'limit'],
    ['GET', '?limit=many', undefined, 400, 'invalid_request', 'limit'],
    ['GET', '?cursor=nonsense', undefined, 400, 'invalid_request', 'cursor'],
    ['GET', '?page=2', undefined, 400, 'invalid_request', 'page'],
    ['GET', '/conv_unknown', undefined, 404, 'conversation_not_found', null],
    ['GET', '/conv_unknown/messages', undefined, 404, 'conversation_not_found', null],
    ['GET', `/${conversation}/messages?after=-2`, undefined, 400, 'invalid_request', 'after'],
    ['GET', `/${conversation}/messages?limit=501`, undefined, 400, 'invalid_request', 'limit'],
    ['POST', '/conv_unknown/turns', { message: 'hi' }, 404, 'conversation_not_found', null],
  ]
  for (const [method, path, given, status, code, param] of cases) {
    const { body, ...answer } = await client.call(method, base + path, given)
    const where = `${method} ${path} ${JSON.stringify(given)}: ${JSON.stringify(body)}`
    assert.equal(answer.status, status, where)
    assert.deepEqual([body.error.code, body.error.param], [code, param], where)
  }
})
