import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RolloutView } from '#config/rollouts.ts'
import { ParleyError } from '#errors.ts'
import type { Role } from '#identity/principal.ts'
import { ScriptedConfig } from '../../../test/support/scripted-config.ts'
import { sseEvents } from '../../../test/support/sse.ts'
import { caller, startTransport } from '../../../test/support/transport-server.ts'
import { registerConfigApi } from '../config-api.ts'

const path = '/api/v1/config/rollout'

function start(config: ScriptedConfig, roles: readonly Role[] = ['Config.Operator'], limits = {}) {
  return startTransport((server, log) => registerConfigApi(server, config, log), {
    authenticate: () => ({ principal: { ...caller, roles } }),
    limits,
  })
}

const post = (body?: unknown, headers: Record<string, string> = { 'if-match': '"e1"' }): RequestInit => ({
  method: 'POST',
  headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
  ...(body !== undefined && { body: JSON.stringify(body) }),
})
const bodyOf = async (response: Response) => (await response.json()) as Record<string, unknown>
const errorOf = async (response: Response) => (await bodyOf(response)).error as Record<string, unknown>

test('the rollout is shown under the tag that decisions name', async () => {
  await using transport = await start(new ScriptedConfig())
  const response = await fetch(transport.url + path)
  assert.equal(response.headers.get('etag'), '"e1"')
  assert.equal((await bodyOf(response)).etag, 'e1')
  const again = await fetch(transport.url + path, { headers: { 'if-none-match': '"e1"' } })
  assert.equal(again.status, 200, 'the verdict may be another under the same tag')
})

test('each decision is passed on with who decides, on what state, and why', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  const version = { version: 'v003', waive: ['cost-high'] }
  const started = await fetch(`${transport.url}${path}/start`, post(version))
  assert.equal(started.status, 200)
  assert.equal(started.headers.get('etag'), '"e2"')
  assert.equal((await bodyOf(started)).epoch, 2)
  let epoch = 2
  for (const decision of ['promote', 'pause', 'resume', 'rollback', 'restore']) {
    const given = post({ reason: `${decision} it` }, { 'if-match': `"e${epoch++}"` })
    assert.equal((await fetch(`${transport.url}${path}/${decision}`, given)).status, 200)
  }
  assert.deepEqual(config.asked, [
    ['start', 'Caller', { ...version, ifMatch: 'e1' }],
    ['promote', 'Caller', { reason: 'promote it', ifMatch: 'e2' }],
    ['pause', 'Caller', { reason: 'pause it', ifMatch: 'e3' }],
    ['resume', 'Caller', { reason: 'resume it', ifMatch: 'e4' }],
    ['rollback', 'Caller', { reason: 'rollback it', ifMatch: 'e5' }],
    ['restore', 'Caller', { reason: 'restore it', ifMatch: 'e6' }],
  ])
})

test('what is restored is what is known, unless what the store has is named by its epoch', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  await fetch(`${transport.url}${path}/restore`, post())
  await fetch(`${transport.url}${path}/restore`, post({ take: 5 }, { 'if-match': '"e2"' }))
  assert.deepEqual(config.asked, [
    ['restore', 'Caller', { reason: 'by hand', ifMatch: 'e1' }],
    ['restore', 'Caller', { reason: 'by hand', ifMatch: 'e2', take: 5 }],
  ])
})

test('a reason may be left out, and so may the body', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  await fetch(`${transport.url}${path}/pause`, post())
  await fetch(`${transport.url}${path}/resume`, post({}, { 'if-match': '"e2"' }))
  assert.deepEqual(
    config.asked.map(([what, , request]) => [what, (request as { reason: string }).reason]),
    [
      ['pause', 'by hand'],
      ['resume', 'by hand'],
    ],
  )
})

test('nothing is decided unseen: if-match is required, and * has seen nothing', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  for (const headers of [{}, { 'if-match': '*' }, { 'if-match': ' ' }] as Record<string, string>[]) {
    const response = await fetch(`${transport.url}${path}/rollback`, post({}, headers))
    assert.equal(response.status, 428)
    assert.equal((await errorOf(response)).code, 'precondition_required')
  }
  assert.deepEqual(config.asked, [])
})

test('of two operators the second is shown what the first has made of it', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  const [first, second] = await Promise.all([
    fetch(`${transport.url}${path}/promote`, post()),
    fetch(`${transport.url}${path}/rollback`, post()),
  ])
  const lost = first.status === 412 ? first : second
  assert.deepEqual([first.status, second.status].sort(), [200, 412])
  assert.equal(lost.headers.get('etag'), '"e2"')
  const { error, rollout } = (await bodyOf(lost)) as { error: Record<string, unknown>; rollout: RolloutView }
  assert.equal(error.code, 'version_conflict')
  assert.equal(rollout.etag, 'e2')
  for (const tag of ['W/"e2"', 'e2', '"é"', '"e2', '"e2", "e3"']) {
    const response = await fetch(`${transport.url}${path}/pause`, post({}, { 'if-match': tag }))
    assert.equal(response.status, 412, tag)
  }
})

test('tags that are quoted already are not quoted again', async () => {
  const config = new ScriptedConfig()
  config.become({ etag: '"0x8D"' })
  await using transport = await start(config)
  const response = await fetch(transport.url + path)
  assert.equal(response.headers.get('etag'), '"0x8D"')
  const decided = await fetch(`${transport.url}${path}/pause`, post({}, { 'if-match': '"0x8D"' }))
  assert.equal(decided.status, 200)
})

test('what the domain refuses is an error in the one shape', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  for (const code of ['rollout_state', 'second_operator_needed', 'config_not_found', 'blob_unavailable'] as const) {
    config.refusal = new ParleyError(code)
    const response = await fetch(`${transport.url}${path}/start`, post({ version: 'v003' }))
    assert.equal((await errorOf(response)).code, code)
    assert.equal(response.status, config.refusal instanceof ParleyError ? config.refusal.status : 0)
  }
})

test('bodies are held to their schema', async () => {
  await using transport = await start(new ScriptedConfig())
  const wrong: [path: string, body: unknown][] = [
    ['start', {}],
    ['start', { version: 'v003', waive: ['speed'] }],
    ['start', { version: 'v003', force: true }],
    ['pause', { reason: '' }],
    ['pause', { reason: ' ' }],
    ['pause', { reason: 'a\u0000b' }],
    ['pause', { reason: 'x'.repeat(501) }],
    ['pause', { why: 'x' }],
    ['pause', []],
    ['pause', { take: 5 }],
    ['restore', { take: 0 }],
    ['restore', { take: '5' }],
  ]
  for (const [decision, body] of wrong) {
    const response = await fetch(`${transport.url}${path}/${decision}`, post(body))
    assert.equal((await errorOf(response)).code, 'invalid_request', JSON.stringify(body))
  }
  const longest = await fetch(`${transport.url}${path}/pause`, post({ reason: 'x'.repeat(500) }))
  assert.equal(longest.status, 200)
})

test('the history is cut to what is asked for', async () => {
  const config = new ScriptedConfig()
  const line = { at: 0, rollout: null, candidate: null, from: 'none', to: 'stable', by: 'system', operator: null }
  config.past.push(
    ...Array.from({ length: 30 }, (_, index) => ({ ...line, epoch: 30 - index, reason: '', evidence: null })),
  )
  await using transport = await start(config)
  const epochs = async (query: string) => {
    const { items } = (await bodyOf(await fetch(`${transport.url}${path}/history${query}`))) as { items: unknown[] }
    return items.length
  }
  assert.equal(await epochs(''), 20)
  assert.equal(await epochs('?limit=1'), 1)
  assert.equal((await fetch(`${transport.url}${path}/history?limit=0`)).status, 400)
  assert.equal((await fetch(`${transport.url}${path}/history?limit=201`)).status, 400)
})

test('a stream has the rollout now and at each change, and ends its reading when its reader leaves', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config, ['Config.Operator'], { heartbeatMs: 100 })
  const leaving = new AbortController()
  const response = await fetch(`${transport.url}${path}/stream`, { signal: leaving.signal })
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  const events = sseEvents(response.body)
  const next = async () => ((await events.next()).value?.data as RolloutView | undefined)?.epoch
  assert.equal(await next(), 1)
  config.become({})
  assert.equal(await next(), 2)
  assert.equal(config.readers, 1)
  leaving.abort()
  while (config.readers > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(config.readers, 0)
})

test('a quiet stream is kept alive, and told when the server closes', async () => {
  const config = new ScriptedConfig()
  const transport = await start(config, ['Admin'], { heartbeatMs: 60 })
  const response = await fetch(`${transport.url}${path}/stream`)
  let text = ''
  let closing: PromiseLike<void> | undefined
  for await (const bytes of response.body ?? []) {
    text += Buffer.from(bytes).toString()
    if (text.includes(': keep-alive')) closing ??= transport[Symbol.asyncDispose]()
  }
  await closing
  assert.match(text, /event: notice\ndata: \{"code":"shutting_down"/)
})

test('a stream is refused to who does not take one', async () => {
  await using transport = await start(new ScriptedConfig())
  const response = await fetch(`${transport.url}${path}/stream`, { headers: { accept: 'application/json' } })
  assert.equal((await errorOf(response)).code, 'not_acceptable')
})

test('only operators may look or decide', async () => {
  await using transport = await start(new ScriptedConfig(), ['Chat.User', 'Finance.Operator'])
  const asked = [
    fetch(transport.url + path),
    fetch(`${transport.url}${path}/stream`),
    fetch(`${transport.url}${path}/history`),
    ...['start', 'promote', 'pause', 'resume', 'rollback', 'restore'].map((decision) =>
      fetch(`${transport.url}${path}/${decision}`, post({ version: 'v003' })),
    ),
  ]
  for (const response of await Promise.all(asked)) assert.equal((await errorOf(response)).code, 'forbidden')
})
