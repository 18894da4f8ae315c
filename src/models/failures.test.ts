import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import type { FailureReason } from './answer.ts'
import { type Exhaustion, exhausted, judgeRefusal } from './failures.ts'

const refusal = (status: number, error: object | string = '', retryAfterMs?: number) => ({
  status,
  retryAfterMs,
  body: typeof error === 'string' ? error : JSON.stringify({ error }),
})

function rejected(status: number, error: object | string): ParleyError {
  const verdict = judgeRefusal(refusal(status, error))
  assert.equal(verdict.kind, 'rejected')
  return verdict.kind === 'rejected' ? verdict.error : assert.fail()
}

test('a status says whose fault it is', () => {
  const judged = Object.fromEntries(
    [400, 401, 402, 403, 404, 405, 408, 409, 413, 422, 425, 429, 302, 500, 503, 529].map((status) => {
      const verdict = judgeRefusal(refusal(status))
      return [status, verdict.kind === 'failed' ? verdict.reason : verdict.kind]
    }),
  )
  assert.deepEqual(judged, {
    302: 'misconfigured',
    400: 'rejected',
    401: 'misconfigured',
    402: 'misconfigured',
    403: 'misconfigured',
    404: 'misconfigured',
    405: 'misconfigured',
    408: 'server_error',
    409: 'server_error',
    413: 'rejected',
    422: 'rejected',
    425: 'server_error',
    429: 'rate_limited',
    500: 'server_error',
    503: 'server_error',
    529: 'server_error',
  })
})

test('a 429 cools for as long as it says, within a second and a minute', () => {
  const cools = [undefined, 0, 999, 1001, 60_001, 86_400_000].map((retryAfterMs) => {
    const verdict = judgeRefusal(refusal(429, '', retryAfterMs))
    return verdict.kind === 'rate_limited' ? verdict.coolMs : undefined
  })
  assert.deepEqual(cools, [5000, 1000, 1000, 1001, 60_000, 60_000])
})

test("what the provider says about the request is passed on, with the parameter's name", () => {
  const error = rejected(400, { message: 'Too hot:\u0000 at most\n2.', param: 'temperature', code: 'invalid_value' })
  assert.equal(error.code, 'provider_rejected')
  assert.equal(error.message, 'Too hot: at most 2.')
  assert.equal(error.param, 'temperature')
})

test('addresses, keys and what is too long are not', () => {
  const secret = `Key sk-abc123, Bearer xyz, 0123456789abcdef0123456789abcdef at https://inner.example/v1?k=1 ${'x '.repeat(600)}`
  const error = rejected(400, { message: secret, param: 'not a name' })
  assert.doesNotMatch(error.message, /abc123|xyz|0123456789abcdef|inner\.example/)
  assert.ok(error.message.length <= 500)
  assert.equal(error.param, undefined)
  assert.equal(rejected(400, { message: { nested: true } }).message, new ParleyError('provider_rejected').message)
  for (const body of ['<html>', 'null', '"text"', '{"error":"text"}', '[]']) {
    assert.equal(rejected(400, body).code, 'provider_rejected')
  }
})

test("content filters and full windows have codes of their own, Azure's nested one too", () => {
  assert.equal(rejected(400, { code: 'content_filter' }).code, 'content_filtered')
  assert.equal(rejected(400, { innererror: { code: 'ResponsibleAIPolicyViolation' } }).code, 'content_filtered')
  assert.equal(rejected(400, { code: 'context_length_exceeded', message: 'Too long.' }).code, 'context_overflow')
})

test('what can pass by itself is told first', () => {
  const nothing: Exhaustion = { reasons: [], busy: false, coolingMs: undefined, overflow: undefined, cause: undefined }
  const code = (more: Partial<Exhaustion>) => {
    const error = exhausted({ ...nothing, ...more })
    return error instanceof ParleyError ? error.code : error
  }
  const after = (...reasons: FailureReason[]) => code({ reasons })
  assert.equal(after('first_token_timeout', 'connect_timeout', 'misconfigured'), 'model_timeout')
  assert.equal(after('first_token_timeout', 'server_error'), 'model_failed')
  assert.equal(after('misconfigured', 'misconfigured'), 'model_misconfigured')
  assert.equal(after('misconfigured', 'rate_limited'), 'rate_limited')
  assert.equal(code({}), 'models_unavailable')
  assert.equal(code({ busy: true, coolingMs: 5 }), 'models_busy')
  assert.equal(code({ overflow: 'overflow' }), 'overflow')
  const limited = exhausted({ ...nothing, coolingMs: 1234 })
  assert.equal(limited instanceof ParleyError && limited.retryAfterMs, 1234)
})
