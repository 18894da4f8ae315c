import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from './log.ts'

function logged(fields: object): Record<string, Record<string, unknown>> {
  let line = ''
  createLog('info', {
    write: (written) => {
      line += written
    },
  }).info(fields, 'Something happened')
  return JSON.parse(line)
}

test('keeps secrets out of fields and errors, and leaves what was logged as it was', () => {
  const request = { authorization: 'Bearer abc', path: '/v1' }
  assert.deepEqual(logged({ request }).request, { authorization: '[redacted]', path: '/v1' })
  assert.equal(request.authorization, 'Bearer abc')

  const err = Object.assign(new Error('refused'), { apiKey: 'abc', status: 401 })
  const { message, apiKey, status, stack } = logged({ err }).err ?? {}
  assert.deepEqual({ message, apiKey, status }, { message: 'refused', apiKey: '[redacted]', status: 401 })
  assert.match(String(stack), /refused/)
})

test('writes the other fields as they are', () => {
  const line = logged({ turn: 'turn_1', tokens: 3, nothing: null, config: { version: 'v1' } })
  const { time, ...rest } = line
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000)
  assert.deepEqual(rest, {
    level: 30,
    turn: 'turn_1',
    tokens: 3,
    nothing: null,
    config: { version: 'v1' },
    msg: 'Something happened',
  })
})
