import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRefusal, readFrame, renderError, renderNotification, renderResult } from './json-rpc.ts'

const first = (text: string) => readFrame(text, 3).calls[0]

test('reads a call, with and without parameters', () => {
  assert.deepEqual(readFrame('{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}}', 3), {
    batch: false,
    calls: [{ id: 'a', method: 'm', params: { x: 1 } }],
  })
  assert.deepEqual(first('{"jsonrpc":"2.0","id":1,"method":"m"}'), { id: 1, method: 'm', params: {} })
})

test('a call without an id is a notification, one with the id null is not', () => {
  assert.deepEqual(first('{"jsonrpc":"2.0","method":"m"}'), { id: undefined, method: 'm', params: {} })
  assert.deepEqual(first('{"jsonrpc":"2.0","id":null,"method":"m"}'), { id: null, method: 'm', params: {} })
})

test('what is no JSON is a parse error of unknown id', () => {
  const texts = [
    '',
    ' ',
    '{',
    '{"jsonrpc":"2.0"',
    'ping',
    '{"a":01}',
    "{'a':1}",
    '\u0000',
    '[1,',
    '[[[',
    '"\ud800',
    'NaN',
  ]
  for (const text of texts) {
    const call = first(text)
    assert.ok(call && isRefusal(call), text)
    assert.deepEqual([call.id, call.error.code], [null, -32700], text)
  }
})

test('what is JSON but no call is an invalid request, with its id where that can be told', () => {
  const cases: [text: string, id: unknown][] = [
    ['1', null],
    ['null', null],
    ['"ping"', null],
    ['{}', null],
    ['{"jsonrpc":"1.0","id":1,"method":"m"}', 1],
    ['{"jsonrpc":2.0,"id":1,"method":"m"}', 1],
    ['{"id":1,"method":"m"}', 1],
    ['{"jsonrpc":"2.0","id":"x"}', 'x'],
    ['{"jsonrpc":"2.0","id":1,"method":1}', 1],
    ['{"jsonrpc":"2.0","method":1,"params":"bar"}', null],
    ['{"jsonrpc":"2.0","id":1,"method":"m","params":"bar"}', 1],
    ['{"jsonrpc":"2.0","id":1,"method":"m","params":null}', 1],
    ['{"jsonrpc":"2.0","id":{},"method":"m"}', null],
    ['{"jsonrpc":"2.0","id":[1],"method":"m"}', null],
    ['{"jsonrpc":"2.0","id":true,"method":"m"}', null],
    ['{"jsonrpc":"2.0","id":1e999,"method":"m"}', null],
    ['{"__proto__":{"jsonrpc":"2.0","id":1,"method":"m"}}', null],
  ]
  for (const [text, id] of cases) {
    const call = first(text)
    assert.ok(call && isRefusal(call), text)
    assert.deepEqual([call.id, call.error.code], [id, -32600], text)
  }
})

test('a batch is read call by call, up to its limit', () => {
  const call = '{"jsonrpc":"2.0","id":1,"method":"m"}'
  const { batch, calls } = readFrame(`[${call},1,[]]`, 3)
  assert.equal(batch, true)
  assert.deepEqual(calls.map(isRefusal), [false, true, true])
  for (const text of ['[]', `[${call},${call},${call},${call}]`]) {
    const refused = readFrame(text, 3)
    assert.equal(refused.batch, false)
    assert.equal(refused.calls.length, 1)
    assert.ok(refused.calls.every((one) => isRefusal(one) && one.error.code === -32600))
  }
})

test('answers and notifications are what the standard says they are', () => {
  assert.deepEqual(JSON.parse(renderResult('"1\n', { a: [1] })), { jsonrpc: '2.0', id: '"1\n', result: { a: [1] } })
  assert.deepEqual(JSON.parse(renderError(null, { code: -32700, message: 'Parse error' })), {
    jsonrpc: '2.0',
    id: null,
    error: { code: -32700, message: 'Parse error' },
  })
  assert.deepEqual(JSON.parse(renderNotification('m', '{"a":1}')), { jsonrpc: '2.0', method: 'm', params: { a: 1 } })
})
