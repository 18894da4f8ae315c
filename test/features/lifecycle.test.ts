import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { ErrorBody } from '#errors.ts'
import { startApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { only } from '../support/model-route.ts'
import { collect, nativeClient, textOf } from '../support/native-client.ts'
import { runToExit, startReplica } from '../support/replica.ts'
import type { SseEvent } from '../support/sse.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

let folder: string
let upstream: Upstream
let variables: Record<string, string>

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'parley-life-'))
  upstream = await startUpstream()
  const config = chatConfig({ only: upstreamModel('only', upstream.baseUrl) })
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(config))
})

beforeEach(async () => {
  variables = {
    PARLEY_CONFIG_DIR: folder,
    PARLEY_DATA_DIR: await mkdtemp(path.join(folder, 'data-')),
    PARLEY_EGRESS_HOSTS: upstream.host,
    // Longer than a machine stalls: who takes over has to live as well.
    PARLEY_TURN_LEASE_MS: '5000',
  }
})

after(async () => {
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
})

async function take(events: AsyncGenerator<SseEvent>, tokens: number): Promise<SseEvent[]> {
  const seen: SseEvent[] = []
  while (seen.filter(({ type }) => type === 'token').length < tokens) {
    const { value, done } = await events.next()
    assert.ok(!done, 'the stream ended early')
    seen.push(value)
  }
  return seen
}

test('while it stops it is not ready, takes on nothing new, and lets what runs come to its end', async () => {
  const app = await startApp({ variables: { ...variables, PARLEY_DRAIN_MS: '20000' } })
  const client = nativeClient(app.url)
  const [conversation, another] = [await client.conversation('plain'), await client.conversation('plain')]
  const { promise: isAsked, resolve: goOn } = Promise.withResolvers<void>()
  upstream.plan = [{ tokens: 100, pace: 60, held: { at: 50, until: isAsked } }]
  const { turn, events } = await client.stream(conversation, 'hello')
  const first = await take(events, 3)
  const stopped = app.stop()

  const ready = await client.call('GET', '/health/ready')
  assert.deepEqual([ready.status, ready.body], [503, { status: 'unavailable', reason: 'shutting down' }])
  assert.equal((await client.call('GET', '/health/live')).status, 200)
  for (const [target, body] of [
    [`/api/v1/conversations/${another}/turns`, { message: 'me too' }],
    ['/v1/chat/completions', { model: 'plain', messages: [{ role: 'user', content: 'me too' }] }],
    ['/v1/chat/completions', { model: 'helper', messages: [{ role: 'user', content: 'me too' }], stream: true }],
  ] as const) {
    const refused = await client.call('POST', target, body)
    assert.deepEqual([refused.status, refused.body.error.code], [503, 'shutting_down'], target)
    assert.match(String(refused.headers.get('retry-after')), /^[123]$/)
  }
  const asked = await client.call('GET', '/api/v1/specialists/plain/stream?message=hello')
  assert.deepEqual([asked.status, asked.body.error.code], [503, 'shutting_down'])
  assert.equal((await client.call('GET', `/api/v1/turns/${turn}`)).body.status, 'running')
  goOn()

  const all = [...first, ...(await collect(events))]
  assert.equal(all.at(-1)?.type, 'turn.completed')
  assert.equal(textOf(all), madeUpPieces(100).join(''))
  await stopped
  await assert.rejects(fetch(app.url))
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal}: what still runs after the grace time ends typed, the process with 0, and the end is kept`, async () => {
    let turn: string
    {
      await using replica = await startReplica({ ...variables, PARLEY_DRAIN_MS: '200' })
      const client = nativeClient(replica.url)
      const started = await client.stream(await client.conversation('plain'), 'mock: tokens=5000 pace=100')
      turn = started.turn
      await take(started.events, 3)
      const exit = once(replica.process, 'exit')
      replica.process.kill(signal)
      const rest = await collect(started.events)
      assert.equal(only<ErrorBody>(rest, 'turn.failed').error.code, 'shutting_down')
      assert.equal(rest.at(-1)?.type, 'turn.failed')
      assert.deepEqual(await exit, [0, null])
    }
    await using replica = await startReplica(variables)
    const { body } = await nativeClient(replica.url).call('GET', `/api/v1/turns/${turn}`)
    assert.deepEqual([body.status, body.error.code], ['failed', 'shutting_down'])
    assert.ok(madeUpPieces(5000).join('').startsWith(body.text) && body.text !== '')
  })
}

test('a turn whose process was killed goes on when another starts on the same data', async () => {
  let turn: string
  let conversation: string
  let seen: SseEvent[]
  upstream.plan = [{ tokens: 60, pace: 60, held: { at: 30, until: new Promise(() => {}) } }, { tokens: 60 }]
  {
    await using replica = await startReplica(variables)
    const client = nativeClient(replica.url)
    conversation = await client.conversation('plain')
    const started = await client.stream(conversation, 'hello')
    turn = started.turn
    seen = await take(started.events, 5)
    await replica.kill()
    await assert.rejects(collect(started.events))
  }
  await using replica = await startReplica(variables)
  const client = nativeClient(replica.url)
  const rest = await collect(await client.resume(turn, seen.at(-1)?.id))
  assert.equal(rest.at(-1)?.type, 'turn.completed')
  assert.deepEqual(only(rest, 'segment'), { model: 'only', reason: 'producer_lost', reset: true })
  assert.equal(textOf([...seen, ...rest]), madeUpPieces(60).join(''))
  assert.deepEqual(await collect(await client.resume(turn)), [...seen, ...rest])
  const { body } = await client.call('GET', `/api/v1/conversations/${conversation}`)
  assert.deepEqual([body.liveTurn, body.messages], [null, 2])
})

test('it goes on by itself, though nobody asks for it', async () => {
  // The first producer would speak for minutes, the second says a word.
  upstream.plan = [{ tokens: 10_000, pace: 30 }, { tokens: 1 }]
  let conversation: string
  {
    await using replica = await startReplica(variables)
    const client = nativeClient(replica.url)
    conversation = await client.conversation('plain')
    const { events } = await client.stream(conversation, 'go on')
    await take(events, 2)
    await replica.kill()
    await assert.rejects(collect(events))
  }
  const before = upstream.requests.length
  await using replica = await startReplica(variables)
  const again = await upstream.arrived(before + 1)
  await again.closed
  const client = nativeClient(replica.url)
  let shown = await client.call('GET', `/api/v1/conversations/${conversation}`)
  for (const until = Date.now() + 60_000; shown.body.liveTurn !== null && Date.now() < until; ) {
    shown = await client.call('GET', `/api/v1/conversations/${conversation}`)
  }
  assert.deepEqual([shown.body.liveTurn, shown.body.messages], [null, 2])
})

/** Ends with 1 and one line that says why. */
async function refusesToStart(
  given: Record<string, string>,
  why: RegExp,
  logged: readonly string[] = [],
): Promise<void> {
  const { code, stdout, stderr } = await runToExit({ ...variables, ...given })
  assert.equal(code, 1, stderr)
  assert.match(stderr, /^Parley cannot start: .*\n$/)
  assert.match(stderr, why)
  const lines = stdout.split('\n').filter(Boolean)
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).msg),
    logged,
  )
}

test('a second process on the same data folder is refused, and the first one goes on', async () => {
  await using replica = await startReplica(variables)
  await refusesToStart({}, new RegExp(`in use by process ${replica.process.pid}`))
  assert.equal((await fetch(`${replica.url}/health/ready`)).status, 200)
})

const nowhere: Record<string, { given: Record<string, string>; why: RegExp; logged?: string[] }> = {
  'an address that other machines can reach': { given: { HOST: '0.0.0.0' }, why: /HOST/ },
  'several faults at once': {
    given: { PORT: 'http', PARLEY_TURN_LEASE_MS: '1', PARLEY_MASTER_KEYS: 'short:a2V5', OPENAI_BASE_URL: 'ftp://x' },
    why: /PORT.*OPENAI_BASE_URL.*PARLEY_MASTER_KEYS.*PARLEY_TURN_LEASE_MS/,
  },
  'no config version': { given: { PARLEY_CONFIG_DIR: 'src' }, why: /no config version/ },
  'no config folder': {
    given: { PARLEY_CONFIG_DIR: '/nowhere/at/all' },
    why: /config versions in/,
    logged: ['The folder of blobs is out of reach', 'Looking for config versions failed'],
  },
}

for (const [name, { given, why, logged }] of Object.entries(nowhere)) {
  test(`does not start, and says why in one line: ${name}`, async () => {
    await refusesToStart(given, why, logged)
  })
}

test('does not start, and says why in one line: a port that is taken', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await refusesToStart({ PORT: String(port) }, new RegExp(`EADDRINUSE.*${port}`))
})

test('does not start on a config version with faults, and names each with its file and line', async () => {
  const dir = await mkdtemp(path.join(folder, 'faulty-'))
  await writeFile(
    path.join(dir, 'v1.yaml'),
    'description: broken\nmodels: {}\nroutes:\n  default: { models: [nobody] }\n',
  )
  const { code, stderr } = await runToExit({ ...variables, PARLEY_CONFIG_DIR: dir })
  assert.equal(code, 1)
  assert.match(stderr, /^Parley cannot start: No config version is valid\.\n/)
  assert.match(stderr, /v1\.yaml:4:\d+.*nobody/)
  assert.doesNotMatch(stderr, /\s+at .*\.ts:/)
})
