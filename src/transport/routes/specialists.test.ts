import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventSource, MessageEvent } from 'undici'
import type { ConfigVersion } from '#config/document.ts'
import { ScriptedChat } from '../../../test/support/scripted-chat.ts'
import { startTransport } from '../../../test/support/transport-server.ts'
import { defaultLimits } from '../limits.ts'
import type { Routes } from '../routing.ts'
import { specialistRoutes } from './specialists.ts'

const version: ConfigVersion = {
  name: 'v001',
  hash: '00',
  document: {
    description: 'for a test',
    models: {},
    routes: {},
    specialists: {
      apollo: {
        title: 'Analyst',
        description: 'Looks into things.',
        instructions: 'secret instructions',
        route: 'default',
        capabilities: { primary: ['operations'], scores: { analysis: 0.9 } },
      },
      athena: { title: 'Assistant', instructions: 'secret instructions', route: 'default' },
    },
  },
}

const start = (chat: ScriptedChat) =>
  startTransport((server, log) =>
    specialistRoutes(server as unknown as Routes, {
      chat,
      log,
      limits: defaultLimits,
      serving: { stable: () => version },
    }),
  )

const answering = () =>
  new ScriptedChat((turn) => turn.emit('turn.started', {}).emit('token', { text: 'Hi' }).emit('turn.completed', {}))
const errorOf = async (response: Response) => ((await response.json()) as { error: Record<string, unknown> }).error

test('lists who there is to talk to, and not what they are told', async () => {
  await using transport = await start(answering())
  const response = await fetch(`${transport.url}/api/v1/specialists`)
  const text = await response.text()
  assert.doesNotMatch(text, /secret/)
  assert.deepEqual(JSON.parse(text), {
    items: [
      {
        id: 'apollo',
        title: 'Analyst',
        description: 'Looks into things.',
        capabilities: { primary: ['operations'], scores: { analysis: 0.9 } },
      },
      { id: 'athena', title: 'Assistant', description: null, capabilities: { primary: [], scores: {} } },
    ],
  })
})

test('EventSource asks, gets the whole answer, comes back once and is told that this was all', async () => {
  const chat = answering()
  await using transport = await start(chat)
  const source = new EventSource(
    `${transport.url}/api/v1/specialists/apollo/stream?message=${encodeURIComponent('grüß dich & co')}`,
    { node: { reconnectionTime: 10 } },
  )
  const seen: string[] = []
  for (const type of ['turn.started', 'token', 'turn.completed']) {
    source.addEventListener(type, (event) => {
      assert.ok(event instanceof MessageEvent)
      seen.push(`${type} ${event.lastEventId.split('.')[1]} ${event.data}`)
    })
  }
  await new Promise<void>((resolve) => {
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) resolve()
    }
  })
  assert.deepEqual(seen, ['turn.started 0 {}', 'token 1 {"text":"Hi"}', 'turn.completed 2 {}'])
  assert.equal(chat.started.length, 1)
  assert.deepEqual(chat.started[0]?.request, {
    in: { specialist: 'apollo', history: [{ role: 'user', content: 'grüß dich & co' }], parameters: {} },
    readOnly: true,
    traceparent: undefined,
  })
})

test('a reconnect with the id of an event resumes that turn and starts none', async () => {
  const chat = answering()
  await using transport = await start(chat)
  const url = `${transport.url}/api/v1/specialists/apollo/stream?message=hi`
  await (await fetch(url)).text()
  const id = chat.started[0]?.turn.id
  const resumed = await fetch(url, { headers: { 'last-event-id': `${id}.0` } })
  assert.match(await resumed.text(), /^retry: \d+\n\nid: turn_\w+\.1\nevent: token/)
  assert.equal((await fetch(url, { headers: { 'last-event-id': `${id}.2` } })).status, 204)
  assert.equal(chat.started.length, 1)
})

test('an id that is none of this specialist resumes nothing and starts nothing', async () => {
  const chat = answering()
  const elsewhere = chat.open({ specialist: 'athena' }).emit('turn.started', {})
  await using transport = await start(chat)
  const ask = (lastEventId: string) =>
    fetch(`${transport.url}/api/v1/specialists/apollo/stream?message=hi`, { headers: { 'last-event-id': lastEventId } })
  const cases = { [`${elsewhere.id}.0`]: 400, nonsense: 400, 'turn_unknown.0': 404 }
  for (const [lastEventId, status] of Object.entries(cases)) {
    assert.equal((await ask(lastEventId)).status, status, lastEventId)
  }
  assert.equal(chat.started.length, 0)
})

test('pages of other sites are refused, this one and no page at all are not', async () => {
  const chat = answering()
  await using transport = await start(chat)
  const ask = (site: string) =>
    fetch(`${transport.url}/api/v1/specialists/apollo/stream?message=hi`, { headers: { 'sec-fetch-site': site } })
  for (const site of ['cross-site', 'same-site', 'nonsense']) {
    const response = await ask(site)
    assert.equal(response.status, 403)
    assert.equal((await errorOf(response)).code, 'cross_site')
  }
  assert.equal(chat.started.length, 0)
  for (const site of ['same-origin', 'none']) assert.equal((await ask(site)).status, 200)
})

test('refuses what cannot be asked', async () => {
  const chat = answering()
  await using transport = await start(chat)
  const cases: [path: string, status: number, code: string][] = [
    ['nobody/stream?message=hi', 404, 'specialist_not_found'],
    ['constructor/stream?message=hi', 404, 'specialist_not_found'],
    ['apollo/stream', 400, 'invalid_request'],
    ['apollo/stream?message=', 400, 'invalid_request'],
    ['apollo/stream?message=%00', 400, 'invalid_request'],
    ['apollo/stream?message=%ff', 400, 'invalid_request'],
    ['apollo/stream?message=a&message=b', 400, 'invalid_request'],
    ['apollo/stream?message=a&model=b', 400, 'invalid_request'],
  ]
  for (const [path, status, code] of cases) {
    const response = await fetch(`${transport.url}/api/v1/specialists/${path}`)
    assert.equal(response.status, status, path)
    assert.equal((await errorOf(response)).code, code, path)
  }
  assert.equal(chat.started.length, 0)
})

test('HEAD starts nothing', async () => {
  const chat = answering()
  await using transport = await start(chat)
  const response = await fetch(`${transport.url}/api/v1/specialists/apollo/stream?message=hi`, { method: 'HEAD' })
  assert.equal(response.status, 200)
  assert.match(String(response.headers.get('content-type')), /^text\/event-stream/)
  assert.equal(chat.started.length, 0)
})

test('a client that takes no event stream gets the whole turn', async () => {
  await using transport = await start(answering())
  const headers = { accept: 'application/json' }
  const response = await fetch(`${transport.url}/api/v1/specialists/apollo/stream?message=hi`, { headers })
  assert.equal(((await response.json()) as { text: string }).text, 'Hi')
})
