import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { ask, contentOf, readStream } from '../support/completions.ts'
import { type Plan, startUpstream, type Upstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

/** Providers that misbehave, and requests that do, on `/v1`: `default` relays, `helper` opens turns. */

const models = ['default', 'helper']
const everyWay = waysOf(models)
/** With little patience before the first word, and within the answer. */
const waiting = waysOf(['waiting', 'helper-waiting'])
const stalling = waysOf(['stalling', 'helper-stalling'])
let upstream: Upstream
let app: TestApp

before(async () => {
  upstream = await startUpstream()
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) })
  const { helper } = config.specialists
  assert.ok(helper)
  app = await startApp({
    config: {
      ...config,
      routes: {
        ...config.routes,
        waiting: { models: ['primary'], firstTokenTimeoutMs: 300 },
        stalling: { models: ['primary'], stallTimeoutMs: 300 },
      },
      specialists: {
        ...config.specialists,
        'helper-waiting': { ...helper, route: 'waiting' },
        'helper-stalling': { ...helper, route: 'stalling' },
      },
    },
    variables: { PARLEY_EGRESS_HOSTS: upstream.host },
  })
  // So many failures would keep calls away from it.
  const held = await fetch(`${app.url}/api/v1/models/primary/circuit`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"state":"closed"}',
  })
  assert.equal(held.status, 200)
})

after(async () => {
  await app.stop()
  await upstream.close()
})

function waysOf(names: readonly string[]) {
  return names.flatMap((model) => [false, true].map((stream) => ({ model, stream })))
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code
}

test('a provider that fails before its first word is an error with a status', async () => {
  const cases: [Plan, number, string][] = [
    [{ status: 400 }, 400, 'provider_rejected'],
    [{ status: 401 }, 502, 'model_misconfigured'],
    [{ status: 404 }, 502, 'model_misconfigured'],
    [{ status: 500 }, 502, 'model_failed'],
    [{ status: 503, errorBody: '<html>' }, 502, 'model_failed'],
    [{ tokens: 0, fault: 'garbage' }, 502, 'model_failed'],
    [{ tokens: 0, fault: 'half-chunk' }, 502, 'model_failed'],
    [{ tokens: 0, fault: 'no-finish' }, 502, 'model_failed'],
    [{ tokens: 0, fault: 'error' }, 502, 'model_failed'],
    [{ tokens: 0, fault: 'reset' }, 502, 'model_failed'],
    [{ tokens: 0, fault: 'keep-alives' }, 504, 'model_timeout'],
    [{ tokens: 0, fault: 'stall' }, 504, 'model_timeout'],
    [{ hang: true }, 504, 'model_timeout'],
  ]
  for (const [plan, status, code] of cases) {
    const ways = status === 504 ? waiting : everyWay
    upstream.plan = ways.map(() => plan)
    await Promise.all(
      ways.map(async (way) => {
        const response = await ask(app.url, way)
        assert.deepEqual([response.status, await codeOf(response)], [status, code], JSON.stringify({ ...plan, ...way }))
      }),
    )
  }
})

test('a provider that fails within its answer is an error in the stream, after all that it said', async () => {
  const faults = ['garbage', 'half-chunk', 'no-finish', 'error', 'reset', 'cut', 'keep-alives', 'stall'] as const
  for (const fault of faults) {
    const ways = fault === 'stall' || fault === 'keep-alives' ? stalling : everyWay
    upstream.plan = ways.map(() => ({ tokens: 6, fault, at: 4 }))
    await Promise.all(
      ways.map(async (way) => {
        const response = await ask(app.url, way)
        if (!way.stream) return assert.equal(response.status, 502)
        const { chunks, done } = readStream(await response.text())
        assert.equal(chunks.at(-1)?.error?.code, 'model_interrupted', `${fault} ${way.model}`)
        assert.equal(contentOf(chunks.slice(0, -1)), madeUpPieces(4).join(''))
        assert.equal(done, false)
      }),
    )
  }
})

test('a provider that is asked too often is left alone as long as it says, within reason', async () => {
  for (const [plan, longest] of [
    [{ retryAfter: '3' }, 3],
    [{}, 60],
    [{ retryAfter: '99999999999' }, 600],
    [{ retryAfter: '-5' }, 60],
    [{ retryAfter: 'soon' }, 60],
  ] as const) {
    await using limited = await startUpstreamApp()
    limited.upstream.plan = [{ status: 429, ...plan }]
    const response = await ask(limited.app.url, { stream: true })
    assert.equal(response.status, 429)
    const seconds = Number(response.headers.get('retry-after'))
    assert.ok(seconds >= 1 && seconds <= longest, `${JSON.stringify(plan)}: ${seconds}`)
    assert.equal(await codeOf(response), 'rate_limited')
  }
})

test('tool calls interleaved, without ids or with arguments that are no JSON pass as the provider made them', async () => {
  const toolCalls = [
    { name: 'f', arguments: '{"half":', id: null },
    { name: 'g', arguments: '{"whole":1}', id: 'mine' },
  ]
  for (const interleave of [false, true]) {
    upstream.plan = [{ toolCalls, interleave }]
    const { choices } = (await (await ask(app.url)).json()) as {
      choices: { message: { tool_calls: { id: string; function: object }[] }; finish_reason: string }[]
    }
    assert.equal(choices[0]?.finish_reason, 'tool_calls')
    assert.deepEqual(
      choices[0]?.message.tool_calls.map((call) => call.function),
      toolCalls.map(({ name, arguments: args }) => ({ name, arguments: args })),
    )
    assert.equal(choices[0]?.message.tool_calls[1]?.id, 'mine')
  }
})

test('what people paste reaches the model as it is', async () => {
  const content = 'nul \u0000 escape \u001b[31m bell \u0007 half \ud83d whole 🙂 bidi \u202e\ufeff line\u2028'
  for (const model of models) {
    const response = await ask(app.url, { model, messages: [{ role: 'user', content }] })
    assert.equal(response.status, 200)
    const messages = upstream.requests.at(-1)?.body.messages as { content: string }[]
    assert.equal(messages.at(-1)?.content, content)
  }
})

test('bodies that are none are refused', async () => {
  const post = (body: string | Uint8Array<ArrayBuffer>, type = 'application/json') =>
    fetch(`${app.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': type }, body })
  const cases: [Promise<Response>, number, string][] = [
    [post('{"model":"default","messages":[{"role":"user","content":"x"}]'), 400, 'bad_json'],
    [post(new Uint8Array([0x7b, 0xff, 0x7d])), 400, 'bad_json'],
    [post('{"model":"default","__proto__":{"messages":[]}}'), 400, 'invalid_request'],
    [post(''), 400, 'invalid_request'],
    [post('null'), 400, 'invalid_request'],
    [post('[]'), 400, 'invalid_request'],
    [post('model=default', 'application/x-www-form-urlencoded'), 415, 'unsupported_media_type'],
    [
      post(JSON.stringify({ model: 'default', messages: [{ role: 'user', content: 'x'.repeat(10_485_760) }] })),
      413,
      'body_too_large',
    ],
  ]
  for (const [asked, status, code] of cases) {
    const response = await asked
    assert.deepEqual([response.status, await codeOf(response)], [status, code])
  }
})

test('a history that fits no window is refused before any model is asked', async () => {
  const before = upstream.requests.length
  const words = 'word '.repeat(40_000)
  const long = await ask(app.url, { model: 'helper', messages: [{ role: 'user', content: words }] })
  assert.deepEqual([long.status, await codeOf(long)], [400, 'context_overflow'])
  assert.equal(upstream.requests.length, before)
})

test('a large history with an image passes through a route', async () => {
  const url = `data:image/png;base64,${'A'.repeat(4_000_000)}`
  const messages = [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }]
  const response = await ask(app.url, { messages })
  assert.equal(response.status, 200)
  assert.deepEqual(upstream.requests.at(-1)?.body.messages, messages)
})

async function startUpstreamApp() {
  const limited = await startUpstream()
  const started = await startApp({
    config: chatConfig({ primary: upstreamModel('primary', limited.baseUrl) }),
    variables: { PARLEY_EGRESS_HOSTS: limited.host },
  })
  return {
    upstream: limited,
    app: started,
    [Symbol.asyncDispose]: async () => {
      await started.stop()
      await limited.close()
    },
  }
}
