import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import type { ModelsEnv } from '#env.ts'
import { systemClock } from '#platform/clock.ts'
import { type Plan, startUpstream, type Upstream } from '../../../test/support/upstream.ts'
import { madeUpPieces } from '../../../test/support/upstream-plan.ts'
import { ChunkReader } from '../chunk-reader.ts'
import type { ModelSpec } from '../schema.ts'
import { type ByteHandler, type Flight, ProbeFailure, type Refusal } from './provider.ts'
import { createProviders, type Providers } from './providers.ts'

let upstream: Upstream
let providers: Providers
const spec: ModelSpec = {
  provider: 'openai-compatible',
  model: 'mock-1',
  contextWindow: 1000,
  continuation: 'restart',
  price: { input: 0, output: 0 },
}

function envOf(openai: string, more: Partial<ModelsEnv> = {}): ModelsEnv {
  return { openai: { apiKey: 'sk-test', baseUrl: openai }, azureOpenai: undefined, egressHosts: [], ...more }
}

function providersFor(
  env: ModelsEnv,
  token = async () => ({ token: 'entra', expiresAt: Date.now() + 3_600_000 }),
): Providers {
  return createProviders({ env, tokens: { token }, clock: systemClock })
}

before(async () => {
  upstream = await startUpstream()
  providers = providersFor(envOf(upstream.baseUrl))
})
beforeEach(() => {
  upstream.requests.length = 0
})
after(async () => {
  await providers.close()
  await upstream.close()
})

interface Ending {
  kind: 'end' | 'refused' | 'failed'
  refusal?: Refusal
  reason?: string
  cause?: unknown
}

/** A call whose ending can be awaited; `onData` may look at each piece, or stop the flight. */
function call(
  options: { providers?: Providers; spec?: ModelSpec; body?: object; onData?: (flight: Flight) => void } = {},
) {
  const used = options.spec ?? spec
  const reader = new ChunkReader('text')
  const seen = { started: 0, calls: 0, synchronous: true }
  const { promise: ended, resolve } = Promise.withResolvers<Ending>()
  const end = (ending: Ending) => {
    reader.end()
    resolve(ending)
  }
  const note = () => {
    assert.equal(seen.synchronous, false)
    seen.calls++
  }
  const handler: ByteHandler = {
    started: () => {
      note()
      seen.started++
    },
    data: (chunk) => {
      note()
      reader.push(chunk)
      options.onData?.(flight)
    },
    end: () => {
      note()
      end({ kind: 'end' })
    },
    refused: (refusal) => {
      note()
      end({ kind: 'refused', refusal })
    },
    failed: (reason, cause) => {
      note()
      end({ kind: 'failed', reason, cause })
    },
  }
  const body = { messages: [], stream: true, stream_options: { include_usage: true }, ...options.body }
  const flight = (options.providers ?? providers).providerFor(used).open({ spec: used, body }, handler)
  seen.synchronous = false
  return { flight, reader, seen, ended }
}

function planned(plan: Plan, options: Parameters<typeof call>[0] = {}) {
  upstream.plan = [plan]
  return call(options)
}

test('streams an answer to its end', async () => {
  const { reader, seen, ended } = planned({ tokens: 20 })
  assert.deepEqual(await ended, { kind: 'end' })
  assert.equal(seen.started, 1)
  assert.equal(reader.text(), madeUpPieces(20).join(''))
  assert.equal(reader.finishReason, 'stop')
  assert.deepEqual(reader.usage, { prompt: 16, cached: 0, completion: 20 })
  assert.equal(reader.done, true)
})

test('sends the body as it is, with its own model, its extra fields and its key', async () => {
  const extra: ModelSpec = { ...spec, extraBody: { service_tier: 'flex', model: 'other' } }
  await planned({ tokens: 1 }, { spec: extra, body: { temperature: 0.5, unheard_of: { x: [1] } } }).ended
  const [request] = upstream.requests
  assert.equal(request?.path, '/v1/chat/completions')
  assert.equal(request?.headers.authorization, 'Bearer sk-test')
  assert.equal(request?.headers['content-type'], 'application/json')
  assert.deepEqual(request?.body, {
    messages: [],
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0.5,
    unheard_of: { x: [1] },
    service_tier: 'flex',
    model: 'mock-1',
  })
})

test('reads an answer whose every byte comes alone, with either line end', async () => {
  for (const crlf of [false, true]) {
    const { reader, ended } = planned({ tokens: 8, frag: true, crlf })
    assert.deepEqual(await ended, { kind: 'end' })
    assert.equal(reader.text(), madeUpPieces(8).join(''))
    assert.equal(reader.finishReason, 'stop')
  }
})

test('hands on tool calls, interleaved, with arguments that are not JSON and ids that are missing', async () => {
  const toolCalls = [
    { name: 'first', arguments: '{"a":1}' },
    { name: 'second', arguments: '{"b":', id: null },
  ]
  const { reader, ended } = planned({ toolCalls, interleave: true })
  await ended
  assert.deepEqual(reader.toolCalls(), [
    { index: 0, id: 'call_mock0', name: 'first', arguments: '{"a":1}' },
    { index: 1, id: 'call_1', name: 'second', arguments: '{"b":', invalid: 'The arguments are not valid JSON.' },
  ])
  assert.equal(reader.finishReason, 'tool_calls')
})

for (const status of [301, 400, 401, 404, 429, 500, 503]) {
  test(`hands on a refusal with status ${status}`, async () => {
    const { seen, ended } = planned({ status })
    const { kind, refusal } = await ended
    assert.equal(kind, 'refused')
    assert.equal(refusal?.status, status)
    assert.equal(refusal?.retryAfterMs, undefined)
    assert.equal(JSON.parse(refusal?.body ?? '').error.message, `The mock answers ${status}.`)
    assert.deepEqual([seen.started, seen.calls], [0, 1])
  })
}

test('reads how long to wait from a 429', async () => {
  const wait = async (plan: Plan) => (await planned({ status: 429, ...plan }).ended).refusal?.retryAfterMs
  assert.equal(await wait({ retryAfter: '3' }), 3000)
  assert.equal(await wait({ retryAfterMs: '20', retryAfter: '3' }), 20)
  assert.equal(await wait({ retryAfter: '99999999999' }), 99_999_999_999_000)
  assert.equal(await wait({ retryAfter: 'whenever' }), undefined)
})

test('cuts the body of a refusal at 64 KiB', async () => {
  const limit = 64 * 1024
  for (const [length, kept] of [
    [limit - 1, limit - 1],
    [limit, limit],
    [limit + 1, limit],
    [10 * limit, limit],
  ]) {
    const { refusal } = await planned({ status: 500, errorBody: 'x'.repeat(length ?? 0) }).ended
    assert.equal(refusal?.body.length, kept)
  }
})

test('an answer that ends too soon ends, without a finish reason', async () => {
  for (const fault of ['no-finish', 'half-chunk'] as const) {
    const { reader, ended } = planned({ tokens: 3, fault })
    assert.deepEqual(await ended, { kind: 'end' })
    assert.deepEqual(
      [reader.text(), reader.finishReason, reader.fault],
      [madeUpPieces(3).join(''), undefined, undefined],
    )
  }
})

test('garbage and errors in the stream are told apart', async () => {
  const garbage = planned({ tokens: 3, fault: 'garbage' })
  await garbage.ended
  assert.equal(garbage.reader.fault?.reason, 'garbage')
  const error = planned({ tokens: 3, fault: 'error' })
  await error.ended
  assert.deepEqual(error.reader.fault, { reason: 'server_error', message: 'The mock gives up.' })
  assert.equal(error.reader.text(), madeUpPieces(3).join(''))
})

for (const fault of ['reset', 'cut'] as const) {
  test(`a connection that goes in the middle of a character is cut off (${fault})`, async () => {
    const { reader, ended } = planned({ tokens: 3, fault })
    const { kind, reason, cause } = await ended
    assert.deepEqual([kind, reason], ['failed', 'cut_off'])
    assert.ok(cause instanceof Error)
    assert.equal(reader.text(), madeUpPieces(3).join(''))
  })
}

test('nobody at the address: the connection failed', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  await new Promise((resolve) => server.close(resolve))
  const nowhere = providersFor(envOf(`http://127.0.0.1:${port}/v1`))
  const { seen, ended } = call({ providers: nowhere })
  const { kind, reason, cause } = await ended
  assert.deepEqual([kind, reason, seen.calls], ['failed', 'connect_failed', 1])
  assert.equal((cause as NodeJS.ErrnoException).code, 'ECONNREFUSED')
  await nowhere.close()
})

test('a request that cannot even be written fails like one without a connection, later', async () => {
  const odd = createProviders({
    env: { openai: { apiKey: 'line\nbreak', baseUrl: upstream.baseUrl }, azureOpenai: undefined, egressHosts: [] },
    tokens: { token: () => Promise.reject(new Error('unused')) },
    clock: systemClock,
  })
  const { seen, ended } = call({ providers: odd })
  const { reason } = await ended
  assert.deepEqual([reason, seen.calls, upstream.requests.length], ['connect_failed', 1, 0])
  await odd.close()
})

test('a connection that closes before any answer is cut off, not unreachable', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.end())).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  const shy = providersFor(envOf(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/v1`))
  const { reason } = await call({ providers: shy }).ended
  assert.equal(reason, 'cut_off')
  await shy.close()
  server.close()
})

test('a model that the environment does not permit or know is misconfigured, and not called', async () => {
  const elsewhere: ModelSpec = { ...spec, baseUrl: `http://localhost:${upstream.host.split(':')[1]}/v1` }
  for (const wrong of [elsewhere, { ...spec, provider: 'azure-openai', deployment: 'd' } as const]) {
    const { seen, ended } = call({ spec: wrong })
    const { reason, cause } = await ended
    assert.deepEqual([reason, seen.calls], ['misconfigured', 1])
    assert.ok(cause instanceof Error)
    await assert.rejects(probe(wrong), { name: 'ProbeFailure', reason: 'misconfigured' })
  }
  assert.equal(upstream.requests.length, 0)
})

test('an abort closes the connection at once, and nothing is heard after it', async () => {
  const { seen, flight } = planned({ tokens: 1000, pace: 200 })
  const request = await upstream.arrived(1)
  while (seen.calls < 5) await new Promise(setImmediate)
  const calls = seen.calls
  flight.abort()
  flight.abort()
  await request.closed
  assert.ok(request.abortedAt && request.sent < 1000)
  assert.equal(seen.calls, calls)
})

test('an abort within a call of the handler is the last one', async () => {
  const { seen } = planned({ tokens: 100 }, { onData: (flight) => flight.abort() })
  await (await upstream.arrived(1)).closed
  assert.equal(seen.calls, 2)
})

test('an abort before the headers, and before the connection', async () => {
  const hanging = planned({ hang: true })
  const request = await upstream.arrived(1)
  hanging.flight.abort()
  await request.closed
  assert.ok(request.abortedAt)
  const early = planned({ tokens: 1 })
  early.flight.abort()
  await planned({ tokens: 1 }).ended
  assert.deepEqual([hanging.seen.calls, early.seen.calls], [0, 0])
})

test('holds the bytes back while paused, and loses none', async () => {
  const pieces = Array.from({ length: 400 }, (_, index) => `${index}:${'x'.repeat(20_000)}`)
  const { flight, reader, seen, ended } = planned({ pieces }, { onData: (each) => seen.calls === 5 && each.pause() })
  while (seen.calls < 5) await new Promise(setImmediate)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok(seen.calls <= 6)
  flight.resume()
  assert.deepEqual(await ended, { kind: 'end' })
  assert.equal(reader.text(), pieces.join(''))
})

test('may be paused before it has begun', async () => {
  const { flight, reader, ended } = planned({ tokens: 5 })
  flight.pause()
  await upstream.arrived(1)
  flight.resume()
  await ended
  assert.equal(reader.text(), madeUpPieces(5).join(''))
})

test('speaks to Azure OpenAI with a key, or with a token that it keeps', async () => {
  const azureSpec: ModelSpec = { ...spec, provider: 'azure-openai', deployment: 'gpt-main' }
  const endpoint = `http://${upstream.host}/`
  const keyed = providersFor(envOf('', { azureOpenai: { endpoint, apiKey: 'az-key' } }))
  await planned({ tokens: 1 }, { providers: keyed, spec: azureSpec }).ended
  let tokens = 0
  const entra = providersFor(envOf('', { azureOpenai: { endpoint, apiKey: undefined } }), async () => {
    tokens++
    return { token: `token-${tokens}`, expiresAt: Date.now() + 3_600_000 }
  })
  for (let count = 0; count < 3; count++) await planned({ tokens: 1 }, { providers: entra, spec: azureSpec }).ended
  const sent = upstream.requests.map(({ path, headers, body }) => [
    path,
    headers['api-key'],
    headers.authorization,
    body.model,
  ])
  const path = '/openai/v1/chat/completions'
  const withToken = [path, undefined, 'Bearer token-1', 'gpt-main']
  assert.deepEqual(sent, [[path, 'az-key', undefined, 'gpt-main'], withToken, withToken, withToken])
  await Promise.all([keyed.close(), entra.close()])
})

test('no token, no connection; and none for a call that was given up meanwhile', async () => {
  const azureSpec: ModelSpec = { ...spec, provider: 'azure-openai', deployment: 'gpt-main' }
  const env = envOf('', { azureOpenai: { endpoint: `http://${upstream.host}`, apiKey: undefined } })
  const broken = providersFor(env, () => Promise.reject(new Error('no identity')))
  const { reason, cause } = await call({ providers: broken, spec: azureSpec }).ended
  assert.deepEqual([reason, (cause as Error).message], ['connect_failed', 'no identity'])
  const { promise, resolve } = Promise.withResolvers<{ token: string; expiresAt: number }>()
  const slow = providersFor(env, () => promise)
  const { flight, seen } = call({ providers: slow, spec: azureSpec })
  flight.abort()
  resolve({ token: 't', expiresAt: Date.now() + 3_600_000 })
  await new Promise(setImmediate)
  assert.deepEqual([seen.calls, upstream.requests.length], [0, 0])
  await Promise.all([broken.close(), slow.close()])
})

function probe(used: ModelSpec = spec, signal = AbortSignal.timeout(5000)): Promise<void> {
  return providers.providerFor(used).probe(used, signal)
}

test('a probe asks for one token', async () => {
  upstream.plan = [{ tokens: 1 }]
  await probe()
  const [request] = upstream.requests
  assert.deepEqual(request?.body, { model: 'mock-1', messages: [{ role: 'user', content: 'ping' }], max_tokens: 1 })
  assert.equal(request?.headers.authorization, 'Bearer sk-test')
})

test('a probe fails for what keeps a deployment from answering, and says why', async () => {
  const reasons = { 401: 'misconfigured', 404: 'misconfigured', 429: 'rate_limited', 500: 'server_error' }
  for (const [status, reason] of Object.entries(reasons)) {
    upstream.plan = [{ status: Number(status) }]
    await assert.rejects(probe(), { name: 'ProbeFailure', reason })
  }
  upstream.plan = [{ status: 400 }]
  await probe()
  upstream.plan = [{ hang: true }]
  const given = probe(spec, AbortSignal.timeout(20))
  await assert.rejects(given, (thrown) => thrown instanceof ProbeFailure && thrown.reason === 'connect_timeout')
  const nowhere = providersFor(envOf('http://127.0.0.1:9/v1'))
  await assert.rejects(nowhere.providerFor(spec).probe(spec, AbortSignal.timeout(5000)), { reason: 'connect_failed' })
  await nowhere.close()
})
