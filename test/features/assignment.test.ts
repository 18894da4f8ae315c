import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { ConfigDocument, ConfigVersion } from '#config/document.ts'
import type { Facts } from '#events/events.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { capturedLog } from '../support/captured-log.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { ask } from '../support/completions.ts'
import { collect, nativeClient } from '../support/native-client.ts'
import { RpcClient, refusedHandshake } from '../support/rpc-client.ts'
import { ScriptedServing } from '../support/scripted-serving.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

/** Which version serves whom, as callers see it and as it is told: during a rollout from `v1` to `v2`. */

let folder: string
let upstream: Upstream
let app: TestApp
let http: ReturnType<typeof nativeClient>
let serving: ScriptedServing
let told: { [Name in 'turn.ended' | 'relay.ended' | 'feedback.given' | 'run.settled']: Facts[Name][] }
const versions = new Map<string, ConfigVersion>()
const { log, lines } = capturedLog()

/** `v2` has a specialist more, and its `default` route begins with a model that is not there. */
function documentOf(name: string): ConfigDocument {
  const gone = name === 'v2' && { gone: upstreamModel('gone', upstream.baseUrl) }
  const document = chatConfig({ ...gone, primary: upstreamModel('primary', upstream.baseUrl) })
  const { plain } = document.specialists
  if (!plain) throw new Error('The config for tests has changed.')
  return { ...document, specialists: { ...document.specialists, ...(name === 'v2' && { fresh: plain }) } }
}

/** What everyone gets is found anew for each test. */
function startRollout(): ScriptedServing {
  const [v1, v2, v3] = ['v1', 'v2', 'v3'].map((name) => versions.get(name))
  if (!v1 || !v2 || !v3) throw new Error('The versions are not there.')
  const scripted = new ScriptedServing(v1, v2, [v3])
  scripted.draw = () => 'canary'
  return scripted
}

before(async () => {
  upstream = await startUpstream(({ model }) => (model === 'gone' ? { status: 404 } : undefined))
  folder = await mkdtemp(path.join(tmpdir(), 'parley-assignment-'))
  for (const name of ['v1', 'v2', 'v3']) {
    await writeFile(path.join(folder, `${name}.json`), JSON.stringify(documentOf(name)))
  }
  app = await startApp({
    log,
    variables: { PARLEY_CONFIG_DIR: folder, PARLEY_EGRESS_HOSTS: upstream.host },
    overrides: {
      serving(all) {
        for (const name of ['v1', 'v2', 'v3']) {
          const version = all.get(name)
          if (version) versions.set(name, version)
        }
        serving = startRollout()
        return {
          stable: () => serving.stable(),
          candidate: () => serving.candidate(),
          assign: (unit) => serving.assign(unit),
          pick: (version) => serving.pick(version),
          resolve: (pin) => serving.resolve(pin),
          rolledBackSince: (version, at) => serving.rolledBackSince(version, at),
          inUse: () => serving.inUse(),
          onChange: (listener) => serving.onChange(listener),
        }
      },
      listen(events) {
        events.on('turn.ended', (fact) => told['turn.ended'].push(fact))
        events.on('relay.ended', (fact) => told['relay.ended'].push(fact))
        events.on('feedback.given', (fact) => told['feedback.given'].push(fact))
        events.on('run.settled', (fact) => told['run.settled'].push(fact))
      },
    },
  })
  http = nativeClient(app.url)
})

beforeEach(() => {
  lines.length = 0
  serving = startRollout()
  told = { 'turn.ended': [], 'relay.ended': [], 'feedback.given': [], 'run.settled': [] }
})

after(async () => {
  await app.stop()
  await upstream.close()
  await rm(folder, { recursive: true })
})

const servedBy = ({ headers }: { headers: Headers }) => [headers.get('x-parley-config'), headers.get('x-parley-arm')]
const counted = ({ config, arm, cohort, unit }: Facts['relay.ended']) => [config, arm, cohort, unit]

test('a conversation of the canary says so in every answer, and is served from stable after the rollback', async () => {
  const created = await http.call('POST', '/api/v1/conversations', { specialist: 'plain' })
  const { id } = created.body
  assert.deepEqual(servedBy(created), ['v2', 'canary'])
  assert.deepEqual([created.body.config, created.body.arm], ['v2', 'canary'])
  assert.equal(created.body.cohort, undefined)

  const say = () => http.call('POST', `/api/v1/conversations/${id}/turns`, { message: 'mock: tokens=2' })
  const first = await say()
  assert.deepEqual(servedBy(first), ['v2', 'canary'])
  assert.deepEqual([first.body.config, first.body.arm], ['v2', 'canary'])
  const { version, arm, hash } = first.body.receipt.config
  assert.deepEqual([version, arm, hash], ['v2', 'canary', versions.get('v2')?.hash])
  const read = await http.call('GET', `/api/v1/turns/${first.body.id}`)
  assert.deepEqual(servedBy(read), ['v2', 'canary'])
  const [started] = await collect(await http.resume(first.body.id))
  assert.match(JSON.stringify(started?.data), /"config":"v2","arm":"canary"/)
  for (const message of ['A model failed', 'A turn has ended', 'Request answered']) {
    while (lines.every(({ msg }) => msg !== message)) await new Promise((resolve) => setTimeout(resolve, 5))
    const line = lines.find(({ msg }) => msg === message)
    assert.deepEqual([line?.config, line?.arm], ['v2', 'canary'], message)
  }

  serving.settle(serving.stable(), Date.now())
  const second = await say()
  assert.deepEqual(servedBy(second), ['v1', 'stable'])
  assert.deepEqual(
    told['turn.ended'].map((fact) => [...counted({ ...fact, addressee: '' }), fact.turn]),
    [
      ['v2', 'canary', 'r1.0', id, first.body.id],
      ['v1', 'stable', '', id, second.body.id],
    ],
  )
  const [fact] = told['turn.ended']
  assert.deepEqual(fact?.faults, [{ model: 'gone', kind: 'misconfigured' }])
  assert.deepEqual(
    fact?.segments.map(({ model }) => model),
    ['gone', 'primary'],
  )
  assert.ok((fact?.firstTokenMs ?? -1) >= 0)
})

test('what the reader says of a turn is told for the unit of its conversation', async () => {
  const id = await http.conversation('plain')
  const { body } = await http.call('POST', `/api/v1/conversations/${id}/turns`, { message: 'mock: tokens=1' })
  const given = await http.call('POST', `/api/v1/turns/${body.id}/feedback`, { rating: 'up', comment: 'Thanks' })
  assert.equal(given.status, 204)
  const [{ at, ...fact } = assert.fail('nothing was told')] = told['feedback.given']
  assert.deepEqual(fact, { config: 'v2', arm: 'canary', cohort: 'r1.0', unit: id, turn: body.id, rating: 'up' })
  assert.ok(at > 0)
})

test('a turn that stands alone is a conversation of one turn', async () => {
  const answer = await http.call('GET', '/api/v1/specialists/plain/stream?message=mock:%20tokens=2', undefined, {
    accept: 'application/json',
  })
  assert.deepEqual([answer.status, ...servedBy(answer)], [200, 'v2', 'canary'])
  assert.deepEqual(counted({ ...told['turn.ended'][0], addressee: '' } as never), [
    'v2',
    'canary',
    'r1.0',
    answer.body.id,
  ])
})

test('so is a request that is passed through, and what it came to is told', async () => {
  const response = await ask(app.url, { model: 'plain', stream: true })
  await response.text()
  assert.deepEqual([response.status, ...servedBy(response)], [200, 'v2', 'canary'])
  const [{ unit, ...fact } = assert.fail('nothing was told')] = told['relay.ended']
  assert.deepEqual(serving.drawn, [unit])
  assert.deepEqual([fact.config, fact.arm, fact.cohort, fact.addressee], ['v2', 'canary', 'r1.0', 'plain'])
  assert.deepEqual([fact.status, fact.finish, fact.code], ['completed', 'stop', null])
  assert.deepEqual(fact.faults, [{ model: 'gone', kind: 'misconfigured' }])
  assert.ok((fact.firstTokenMs ?? -1) >= 0 && fact.endedAt >= fact.startedAt)
  const failed = lines.findLast(({ msg }) => msg === 'A model failed')
  assert.deepEqual([failed?.model, failed?.config, failed?.arm], ['gone', 'v2', 'canary'])

  serving = new ScriptedServing(serving.stable())
  const wrong = await ask(app.url, { messages: [{ role: 'user', content: 'mock: status=400' }] })
  assert.deepEqual([wrong.status, ...servedBy(wrong)], [400, 'v1', 'stable'])
  const { status, code, cohort, faults, firstTokenMs } = told['relay.ended'][1] ?? assert.fail()
  assert.deepEqual([status, code, cohort, faults, firstTokenMs], ['failed', 'provider_rejected', '', [], null])
})

test('one whose caller leaves is told as cancelled', async () => {
  const left = new AbortController()
  const messages = [{ role: 'user', content: 'mock: tokens=1000 pace=50' }]
  const response = await ask(app.url, { model: 'plain', stream: true, messages }, { signal: left.signal })
  await response.body?.getReader().read()
  left.abort()
  while (told['relay.ended'].length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const { status, code, finish, segments } = told['relay.ended'][0] ?? assert.fail()
  assert.deepEqual([status, code, finish], ['cancelled', null, null])
  assert.deepEqual(
    segments.map(({ model, outputTokens }) => [model, outputTokens > 0]),
    [
      ['gone', false],
      ['primary', true],
    ],
  )
})

test('a specialist on `/v1` that has actions gets its turn from the version it was drawn', async () => {
  const response = await ask(app.url, { model: 'helper' })
  assert.deepEqual([response.status, ...servedBy(response)], [200, 'v2', 'canary'])
  const turn = response.headers.get('x-parley-turn')
  assert.deepEqual([serving.drawn, told['turn.ended'].map(({ unit }) => unit)], [[turn], [turn]])
  assert.deepEqual(told['relay.ended'], [])
})

test('operators pick a version for whatever they begin, and it is not counted', async () => {
  const picked = { 'x-parley-config': 'v3' }
  const created = await http.call('POST', '/api/v1/conversations', { specialist: 'plain' }, picked)
  assert.deepEqual([created.status, ...servedBy(created)], [201, 'v3', 'stable'])
  const turns = `/api/v1/conversations/${created.body.id}/turns`
  const turn = await http.call('POST', turns, { message: 'mock: tokens=1' })
  assert.deepEqual(servedBy(turn), ['v3', 'stable'])
  const other = await http.call('POST', turns, { message: 'mock: tokens=1' }, { 'x-parley-config': 'v1' })
  assert.deepEqual([other.status, other.body.error.param], [400, 'x-parley-config'])
  const alone = await http.call('GET', '/api/v1/specialists/plain/stream?message=mock:%20tokens=1', undefined, {
    ...{ accept: 'application/json', ...picked },
  })
  assert.deepEqual(servedBy(alone), ['v3', 'stable'])
  const relayed = await ask(app.url, {}, { headers: picked })
  assert.deepEqual([relayed.status, ...servedBy(relayed)], [200, 'v3', 'stable'])
  const client = await RpcClient.connect(app.url, 'plain', { headers: picked })
  const { result } = await client.call('chat', { message: 'mock: tokens=1' })
  await client.eventsOf(result?.turn)
  assert.deepEqual([result?.config, result?.arm], ['v3', 'stable'])
  await client.close()

  const facts = [...told['turn.ended'], ...told['relay.ended']]
  assert.deepEqual(
    facts.map(({ config, cohort }) => [config, cohort]),
    Array.from({ length: 4 }, () => ['v3', 'picked']),
  )
  assert.deepEqual(serving.drawn, [])
})

test('a version that is not there cannot be picked', async () => {
  const picked = { 'x-parley-config': 'v9' }
  const answers = [
    await http.call('POST', '/api/v1/conversations', { specialist: 'plain' }, picked),
    await http.call('GET', '/api/v1/specialists/plain/stream?message=hi', undefined, picked),
    await refusedHandshake(app.url, 'plain', { headers: picked }),
  ].map(({ status, body }) => [status, body.error.code])
  const relayed = await ask(app.url, {}, { headers: picked })
  answers.push([relayed.status, ((await relayed.json()) as { error: { code: string } }).error.code])
  assert.deepEqual(answers, Array(4).fill([404, 'config_not_found']))
})

test('a specialist that only the candidate has can be talked to, wherever the draw falls', async () => {
  serving.draw = () => 'stable'
  const created = await http.call('POST', '/api/v1/conversations', { specialist: 'fresh' })
  assert.deepEqual([created.status, ...servedBy(created)], [201, 'v2', 'canary'])
  const client = await RpcClient.connect(app.url, 'fresh')
  const { result } = await client.call('chat', { message: 'mock: tokens=1' })
  await client.eventsOf(result?.turn)
  await client.close()
  const relayed = await ask(app.url, { model: 'fresh' })
  assert.deepEqual([relayed.status, ...servedBy(relayed)], [200, 'v2', 'canary'])
  assert.deepEqual(
    [...told['turn.ended'], ...told['relay.ended']].map(({ config, cohort }) => [config, cohort]),
    [
      ['v2', ''],
      ['v2', ''],
    ],
  )
  serving.settle(serving.stable(), Date.now())
  const after = await http.call('POST', '/api/v1/conversations', { specialist: 'fresh' })
  assert.deepEqual([after.status, after.body.error.code], [404, 'specialist_not_found'])
  assert.equal((await refusedHandshake(app.url, 'fresh')).status, 404)
})

test('what is listed is what everyone gets, and says so', async () => {
  for (const listed of ['/api/v1/specialists', '/api/v1/actions']) {
    assert.deepEqual(servedBy(await http.call('GET', listed)), ['v1', 'stable'])
  }
})
