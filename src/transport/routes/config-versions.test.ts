import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Role } from '#identity/principal.ts'
import { ScriptedConfig } from '../../../test/support/scripted-config.ts'
import { caller, startTransport } from '../../../test/support/transport-server.ts'
import { registerConfigApi } from '../config-api.ts'

const path = '/api/v1/config/versions'

function start(config: ScriptedConfig, roles: readonly Role[] = ['Config.Operator']) {
  return startTransport((server, log) => registerConfigApi(server, config, log), {
    authenticate: () => ({ principal: { ...caller, roles } }),
  })
}

const yaml = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): RequestInit => ({
  method: 'PUT',
  headers: { 'content-type': 'application/yaml', ...headers },
  body,
})
const bodyOf = async (response: Response) => (await response.json()) as Record<string, unknown>
const errorOf = async (response: Response) => (await bodyOf(response)).error as Record<string, unknown>
const fault = { path: 'routes.default', line: 3, column: 5, message: 'no model "x"' }

test('lists what is known, newest first, with what serves whom', async () => {
  const config = new ScriptedConfig()
  const canary = config.add('v003', 'third')
  config.add('v004', 'fourth', { status: 'refused', faults: [fault] })
  const steps = [{ weight: 25, conversations: 100 }]
  const live = {
    id: 'r',
    candidate: { version: 'v003', hash: canary.hash },
    status: 'canary' as const,
    paused: null,
    step: 0,
    steps,
    bakeMs: 0,
    waived: [],
    baseline: null,
    startedAt: 0,
    startedBy: 'system',
    since: 0,
  }
  config.become({ live })
  await using transport = await start(config)
  const list = async () => {
    const { items } = (await bodyOf(await fetch(transport.url + path))) as { items: Record<string, unknown>[] }
    return items.map(({ name, status, serves, faults }) => [name, status, serves, faults])
  }
  assert.deepEqual(await list(), [
    ['v004', 'refused', null, [fault]],
    ['v003', 'sound', { as: 'canary', percent: 25 }, []],
    ['v002', 'sound', { as: 'stable', percent: 75 }, []],
  ])
  const paused = { from: 'canary' as const, cause: 'operator' as const, reason: '', at: 0 }
  config.become({ live: { ...live, status: 'paused', paused } })
  assert.deepEqual(
    (await list()).map(([, , serves]) => serves),
    [null, { as: 'canary', percent: 0 }, { as: 'stable', percent: 100 }],
  )
})

test('a version is what is known of it, or its bytes for who takes YAML; its tag is its hash', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  const hash = config.entries.get('v002')?.hash
  const known = await fetch(`${transport.url}${path}/v002`)
  assert.equal(known.headers.get('etag'), `"${hash}"`)
  assert.equal((await bodyOf(known)).hash, hash)
  const source = await fetch(`${transport.url}${path}/v002`, { headers: { accept: 'application/yaml' } })
  assert.equal(source.headers.get('content-type'), 'application/yaml; charset=utf-8')
  assert.equal(source.headers.get('etag'), `"${hash}"`)
  assert.equal(await source.text(), 'description: second\n')
  config.sources.set('v002', { bytes: Buffer.from('{}'), format: 'json' })
  const json = await fetch(`${transport.url}${path}/v002`, { headers: { accept: 'text/yaml' } })
  assert.equal(json.headers.get('content-type'), 'application/json; charset=utf-8')
  assert.equal(await json.text(), '{}')
  const same = await fetch(`${transport.url}${path}/v002`, { headers: { 'if-none-match': `W/"${hash}"` } })
  assert.equal(same.status, 304)
  const other = await fetch(`${transport.url}${path}/v002`, { headers: { accept: 'text/html' } })
  assert.equal((await errorOf(other)).code, 'not_acceptable')
  const missing = await fetch(`${transport.url}${path}/v009`)
  assert.equal((await errorOf(missing)).code, 'config_not_found')
})

test('a push is taken as bytes, in YAML or in JSON, and named after who pushed it', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  const pushed = await fetch(`${transport.url}${path}/v003`, yaml('description: é\n'))
  assert.equal(pushed.status, 201)
  assert.equal(pushed.headers.get('location'), `${path}/v003`)
  assert.equal(pushed.headers.get('etag'), `"${config.entries.get('v003')?.hash}"`)
  assert.deepEqual((await bodyOf(pushed)).uploadedBy, { id: 'caller', name: 'Caller' })
  const same = await fetch(`${transport.url}${path}/v003`, yaml('description: é\n'))
  assert.equal(same.status, 200)
  const other = await fetch(`${transport.url}${path}/v003`, yaml('description: e\n'))
  assert.equal(other.status, 409)
  assert.equal((await errorOf(other)).code, 'config_exists')
  const json = await fetch(`${transport.url}${path}/v004`, yaml('{}', { 'content-type': 'application/json' }))
  assert.equal(json.status, 201)
  assert.deepEqual(
    config.asked.map(([, , name, text, format]) => [name, text, format]),
    [
      ['v003', 'description: é\n', 'yaml'],
      ['v003', 'description: é\n', 'yaml'],
      ['v003', 'description: e\n', 'yaml'],
      ['v004', '{}', 'json'],
    ],
  )
})

test('with if-none-match: * what is there already is 412', async () => {
  await using transport = await start(new ScriptedConfig())
  const push = () => fetch(`${transport.url}${path}/v003`, yaml('a: 1', { 'if-none-match': '*' }))
  assert.equal((await push()).status, 201)
  const again = await push()
  assert.equal(again.status, 412)
  assert.equal((await errorOf(again)).code, 'version_conflict')
})

test('every fault of a document is listed with its place, in a push and in a dry run', async () => {
  const config = new ScriptedConfig()
  config.faults = [fault, { path: '', line: 1, column: 1, message: 'is empty' }]
  await using transport = await start(config)
  for (const query of ['', '?dryRun=true']) {
    const response = await fetch(`${transport.url}${path}/v003${query}`, yaml('a: 1'))
    assert.equal(response.status, 422)
    const { code, type, faults, request_id } = await errorOf(response)
    assert.deepEqual([code, type, faults], ['config_invalid', 'invalid_request_error', config.faults])
    assert.equal(request_id, response.headers.get('x-request-id'))
  }
})

test('a dry run keeps nothing, and tells what a second operator would have to agree to', async () => {
  const config = new ScriptedConfig()
  config.weakenings = [{ kind: 'limit', path: 'actions.a.timeoutMs', message: 'The time limit rises.' }]
  await using transport = await start(config)
  const response = await fetch(`${transport.url}${path}/v003?dryRun=true`, yaml('a: 1'))
  assert.equal(response.status, 200)
  const { name, size, against, weakenings } = await bodyOf(response)
  assert.deepEqual([name, size, against, weakenings], ['v003', 4, 'v002', config.weakenings])
  assert.deepEqual(config.asked, [])
})

test('bodies that are too large, compressed or of another type are refused, none at all is a document without content', async () => {
  const config = new ScriptedConfig()
  await using transport = await start(config)
  const put = async (init: RequestInit) => errorOf(await fetch(`${transport.url}${path}/v003`, init))
  const atLimit = await fetch(`${transport.url}${path}/v003`, yaml(new Uint8Array(1_048_576)))
  assert.equal(atLimit.status, 201)
  assert.equal((await put(yaml(new Uint8Array(1_048_577)))).code, 'body_too_large')
  assert.equal((await put(yaml('x', { 'content-encoding': 'gzip' }))).code, 'unsupported_media_type')
  assert.equal((await put(yaml('x', { 'content-type': 'text/plain' }))).code, 'unsupported_media_type')
  assert.match(String((await put(yaml(new Uint8Array(1), { 'content-type': 'a/b' }))).message), /application\/yaml/)
  config.asked.length = 0
  await fetch(`${transport.url}${path}/v005`, { method: 'PUT' })
  assert.deepEqual(config.asked[0]?.slice(2), ['v005', '', 'yaml'])
})

test('a second operator agrees; whoever pushed it cannot', async () => {
  const config = new ScriptedConfig()
  config.add('v003', 'a', { uploadedBy: { id: 'somebody', name: 'Somebody' } })
  config.add('v004', 'b', { uploadedBy: { id: 'caller', name: 'Caller' } })
  await using transport = await start(config)
  const approve = (version: string) => fetch(`${transport.url}${path}/${version}/approve`, { method: 'POST' })
  assert.deepEqual((await bodyOf(await approve('v003'))).approvedBy, { id: 'caller', name: 'Caller' })
  assert.equal((await approve('v004')).status, 403)
})

test('two versions are compared; each has to be a sound one', async () => {
  const config = new ScriptedConfig()
  config.add('v003', 'a')
  config.add('v004', 'b', { status: 'refused' })
  await using transport = await start(config)
  const diff = async (from: string, to: string) => {
    const response = await fetch(`${transport.url}${path}/${from}/diff/${to}`)
    return response.status === 200 ? (await bodyOf(response)).to : (await errorOf(response)).code
  }
  assert.equal(await diff('v002', 'v003'), 'v003')
  assert.equal(await diff('v001', 'v003'), 'config_not_found')
  assert.equal(await diff('v003', 'v001'), 'config_not_found')
  config.faults = [fault]
  assert.equal(await diff('v002', 'v004'), 'config_invalid')
  config.faults = []
  assert.equal(await diff('v002', 'v004'), 'v004', 'what is not in memory is read again')
})

test('an old version is there once it was asked for: it is looked for before it is said not to be', async () => {
  const config = new ScriptedConfig()
  let asked = ''
  const { get } = config.versions
  config.versions.get = (name) => {
    asked = name
    return get(name)
  }
  config.versions.refresh = async () => {
    if (asked.startsWith('v00')) config.add(asked, 'old')
  }
  await using transport = await start(config)
  assert.equal((await bodyOf(await fetch(`${transport.url}${path}/v000`))).name, 'v000')
  assert.equal((await bodyOf(await fetch(`${transport.url}${path}/v001/diff/v002`))).from, 'v001')
  const { code, message } = await errorOf(await fetch(`${transport.url}${path}/v9`))
  assert.deepEqual([code, message], ['config_not_found', 'There is no config version "v9".'])
})

test('only operators may look or push', async () => {
  await using transport = await start(new ScriptedConfig(), ['Chat.User', 'Action.Approver'])
  const asked = [
    fetch(transport.url + path),
    fetch(`${transport.url}${path}/v002`),
    fetch(`${transport.url}${path}/v003`, yaml('a: 1')),
    fetch(`${transport.url}${path}/v002/approve`, { method: 'POST' }),
    fetch(`${transport.url}${path}/v002/diff/v002`),
  ]
  for (const response of await Promise.all(asked)) assert.equal((await errorOf(response)).code, 'forbidden')
})

test('the schema of config versions is served to editors, without signing in', async () => {
  await using transport = await startTransport((server, log) => registerConfigApi(server, new ScriptedConfig(), log), {
    authenticate: () => assert.fail('asked who is calling'),
  })
  const response = await fetch(`${transport.url}/config.schema.json`)
  assert.equal(response.headers.get('content-type'), 'application/schema+json; charset=utf-8')
  assert.equal((await bodyOf(response)).title, 'Parley config version')
  const etag = response.headers.get('etag') ?? ''
  const same = await fetch(`${transport.url}/config.schema.json`, { headers: { 'if-none-match': etag } })
  assert.equal(same.status, 304)
})
