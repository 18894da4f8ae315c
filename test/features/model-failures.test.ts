import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TurnView } from '#chat/chat.ts'
import type { ErrorBody } from '#errors.ts'
import { checkOneText, impatient, only, type RoutedModel, startRoute } from '../support/model-route.ts'
import type { Plan } from '../support/upstream.ts'

const rejection = (code: string) =>
  JSON.stringify({
    error: { message: `The mock says ${code}.`, type: 'invalid_request_error', code, param: 'messages' },
  })

interface Case {
  /** Seconds that a caller is told to wait. */
  retryAfter?: RegExp
  first: Plan
  second?: Plan
  status: number
  code: string
}

const whenAllFail: Record<string, Case> = {
  'faults of the providers': { first: { status: 500 }, second: { status: 503 }, status: 502, code: 'model_failed' },
  silence: { first: { hang: true }, second: { fault: 'stall', at: 0 }, status: 504, code: 'model_timeout' },
  'rate limits': {
    first: { status: 429 },
    second: { status: 429, retryAfter: '2' },
    retryAfter: /^[12]$/,
    status: 429,
    code: 'rate_limited',
  },
  'refused keys': { first: { status: 401 }, second: { status: 404 }, status: 502, code: 'model_misconfigured' },
  'a refused key and a fault': { first: { status: 401 }, second: { status: 500 }, status: 502, code: 'model_failed' },
  'a rate limit and silence': { first: { status: 429 }, second: { hang: true }, status: 504, code: 'model_timeout' },
  garbage: {
    first: { fault: 'garbage', at: 0 },
    second: { fault: 'no-finish', at: 0 },
    status: 502,
    code: 'model_failed',
  },
}

const withoutAnother: Record<string, Case> = {
  'a request refused as invalid': {
    first: { status: 400, errorBody: rejection('invalid_value') },
    status: 400,
    code: 'provider_rejected',
  },
  'a request refused as too large': { first: { status: 413 }, status: 400, code: 'provider_rejected' },
  'a content filter': {
    first: { status: 400, errorBody: rejection('content_filter') },
    status: 400,
    code: 'content_filtered',
  },
  'a prompt that is too long for it': {
    first: { status: 400, errorBody: rejection('context_length_exceeded') },
    status: 400,
    code: 'context_overflow',
  },
}

for (const [name, { first, second, status, code, retryAfter }] of Object.entries({
  ...whenAllFail,
  ...withoutAnother,
})) {
  const falls = second !== undefined
  test(`${falls ? 'when all fail the turn says how' : 'no other model is asked'}: ${name}`, async () => {
    const models: Record<string, RoutedModel> = { first: { plans: () => first }, second: { plans: () => second } }
    const silent = first.hang || second?.hang
    const options = { ...(silent && { timers: impatient }) }
    await using streamed = await startRoute(models, options)
    const asked = await streamed.ask()
    assert.equal(await checkOneText(streamed, asked), '')
    const { error } = only<ErrorBody>(asked.events, 'turn.failed')
    assert.equal(error.code, code)
    assert.equal(asked.events.at(-1)?.type, 'turn.failed')
    assert.equal(streamed.upstreams.second?.requests.length, falls ? 1 : 0)

    await using whole = await startRoute(models, options)
    const answered = await whole.answer()
    assert.equal(answered.status, status)
    assert.equal(answered.body.error.code, code)
    assert.match(answered.headers.get('retry-after') ?? '', retryAfter ?? /^$/)
    assert.equal(answered.body.error.request_id, answered.headers.get('x-request-id'))
    const { body }: { body: TurnView } = await whole.client.call(
      'GET',
      `/api/v1/turns/${answered.headers.get('x-parley-turn')}`,
    )
    assert.deepEqual([body.status, body.error?.code], ['failed', code])
    assert.equal(body.receipt?.segments.length, falls ? 2 : 1)
  })
}

test('what broke off and nobody could continue is an answer that says so', async () => {
  const broken: Plan = { pieces: ['So ', 'far.'], fault: 'cut' }
  await using route = await startRoute({ first: { plans: () => broken }, second: { plans: () => ({ status: 500 }) } })
  const asked = await route.ask()
  assert.equal(await checkOneText(route, asked), 'So far.')
  assert.equal(only<ErrorBody>(asked.events, 'turn.failed').error.code, 'model_interrupted')
  const { status, body } = await route.answer()
  assert.deepEqual([status, body.status, body.text, body.error.code], [200, 'failed', 'So far.', 'model_interrupted'])
})

test('the conversation of a failed turn goes on; what never was answered is not told to the model', async () => {
  const plans: Plan[] = [{ status: 500 }, { pieces: ['Again.'] }]
  await using route = await startRoute({ first: { plans } })
  const { conversation } = await route.ask('first question')
  const turns = `/api/v1/conversations/${conversation}/turns`
  const { body } = await route.client.call('POST', turns, { message: 'second question' })
  assert.deepEqual([body.status, body.text], ['completed', 'Again.'])
  assert.deepEqual(route.upstreams.first?.requests[1]?.body.messages, [
    { role: 'system', content: 'Answer.' },
    { role: 'user', content: 'second question' },
  ])
})

test('a circuit opens after failures, keeps calls away, and is shown with what led to it', async () => {
  await using route = await startRoute({
    first: { plans: () => ({ status: 500 }) },
    second: { plans: () => ({ tokens: 1 }) },
  })
  const models = async () => (await route.client.call('GET', '/api/v1/models')).body.items
  for (let n = 0; n < 4; n++) await route.ask()
  const [closed] = await models()
  assert.deepEqual([closed.circuit, closed.failures], ['closed', 4])

  await route.ask()
  const [first, second] = await models()
  assert.deepEqual(
    [first.circuit, first.held, first.calls, first.failures, first.failovers, first.lastFailure.reason],
    ['open', false, 5, 5, 5, 'server_error'],
  )
  assert.ok(Math.abs(Date.now() - first.lastFailure.at) < 60_000)
  assert.deepEqual(first.firstTokenMs, { p50: null, p95: null })
  assert.deepEqual(
    [second.circuit, second.calls, second.failures, second.failovers, second.lastFailure],
    ['closed', 5, 0, 0, null],
  )
  assert.ok(second.firstTokenMs.p50 > 0 && second.firstTokenMs.p95 >= second.firstTokenMs.p50)

  assert.equal((await route.answer()).body.status, 'completed')
  assert.equal(route.upstreams.first?.requests.length, 5)
})

test('a rate limit keeps calls away for as long as the provider says, within a minute, and counts nowhere', async () => {
  const limited: Plan = { status: 429, retryAfter: '9999999' }
  await using route = await startRoute({ first: { plans: () => limited }, second: { plans: () => ({ tokens: 1 }) } })
  for (let n = 0; n < 6; n++) assert.equal((await route.answer()).body.status, 'completed')
  assert.equal(route.upstreams.first?.requests.length, 1)
  const [first] = (await route.client.call('GET', '/api/v1/models')).body.items
  assert.equal(first.circuit, 'closed')
  const coolMs = first.coolingUntil - Date.now()
  assert.ok(coolMs > 50_000 && coolMs <= 60_000, `cools for ${coolMs} ms`)
})

test('an operator opens a circuit, closes it, and gives it back', async () => {
  await using route = await startRoute({
    first: { plans: () => ({ pieces: ['first'] }) },
    second: { plans: () => ({ pieces: ['second'] }) },
  })
  const hold = async (state: string) => {
    const { status, body } = await route.client.call('POST', '/api/v1/models/first/circuit', { state })
    assert.equal(status, 200)
    return [body.circuit, body.held]
  }
  assert.deepEqual(await hold('open'), ['open', true])
  assert.equal((await route.answer()).body.text, 'second')
  assert.deepEqual(await hold('closed'), ['closed', true])
  assert.equal((await route.answer()).body.text, 'first')
  assert.deepEqual(await hold('auto'), ['closed', false])
  assert.equal((await route.answer()).body.text, 'first')
  assert.equal(route.upstreams.second?.requests.length, 1)
})

test('with every circuit held open there is no model to ask', async () => {
  await using route = await startRoute({ first: {}, second: {} })
  for (const name of ['first', 'second']) {
    await route.client.call('POST', `/api/v1/models/${name}/circuit`, { state: 'open' })
  }
  const { status, body } = await route.answer()
  assert.deepEqual([status, body.error.code], [503, 'models_unavailable'])
  assert.equal(route.upstreams.first?.requests.length, 0)
})

test('calls beyond the limit of a model wait, as many again, and further ones are turned away', async () => {
  const { promise: isTurnedAway, resolve: goOn } = Promise.withResolvers<unknown>()
  const slow: Plan = { tokens: 1, held: { at: 0, until: isTurnedAway } }
  await using route = await startRoute(
    { first: { plans: () => slow, spec: { concurrency: 1, queue: 1 } } },
    {
      timers: { firstTokenTimeoutMs: 60_000 },
    },
  )
  const started = route.answer()
  await route.upstreams.first?.arrived(1)
  const more = [route.answer(), route.answer()]
  // The others wait for as long as it takes.
  goOn(Promise.race(more))
  const all = await Promise.all([started, ...more])
  const outcomes = all.map(({ status, body }) => (status === 200 ? body.status : body.error.code))
  assert.deepEqual(outcomes.sort(), ['completed', 'completed', 'models_busy'])
  assert.equal(all.find(({ status }) => status === 503)?.headers.get('retry-after'), '1')
})
