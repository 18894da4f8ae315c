import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ToolCallAssembly } from './tool-call-assembly.ts'

function assembled(...deltas: Record<string, unknown>[]) {
  const assembly = new ToolCallAssembly()
  for (const delta of deltas) assembly.add(delta)
  return assembly.calls()
}

const part = (index: number | undefined, args: string, more: object = {}) => ({
  ...(index !== undefined && { index }),
  function: { arguments: args },
  ...more,
})
const begin = (index: number | undefined, id: string | undefined, name: string, args = '') => ({
  ...(index !== undefined && { index }),
  ...(id !== undefined && { id }),
  function: { name, arguments: args },
})
const f = { index: 0, id: 'a', name: 'f', arguments: '{"x":1}' }
const g = { index: 1, id: 'b', name: 'g', arguments: '{"y":2}' }

test('by index, one after another or interleaved', () => {
  assert.deepEqual(
    assembled(begin(0, 'a', 'f'), part(0, '{"x"'), part(0, ':1}'), begin(1, 'b', 'g'), part(1, '{"y":2}')),
    [f, g],
  )
  assert.deepEqual(
    assembled(begin(0, 'a', 'f'), begin(1, 'b', 'g'), part(1, '{"y"'), part(0, '{"x":1}'), part(1, ':2}')),
    [f, g],
  )
  assert.deepEqual(assembled(begin(1, 'b', 'g', '{"y":2}'), begin(0, 'a', 'f', '{"x":1}')), [f, g])
})

test('ids that come late, again and again, or never', () => {
  assert.deepEqual(assembled(begin(0, undefined, 'f'), part(0, '{"x":1}', { id: 'a' })), [f])
  assert.deepEqual(assembled(begin(0, 'a', 'f'), part(0, '{"x":1}', { id: 'a' }), part(0, '', { id: '' })), [f])
  assert.deepEqual(assembled(begin(0, undefined, 'f', '{"x":1}'), begin(1, undefined, 'g', '{"y":2}')), [
    { ...f, id: 'call_0' },
    { ...g, id: 'call_1' },
  ])
})

test('an index that is missing', () => {
  assert.deepEqual(
    assembled(begin(undefined, 'a', 'f'), part(undefined, '{"x":1}'), begin(undefined, 'b', 'g', '{"y":2}')),
    [f, g],
  )
  assert.deepEqual(
    assembled(begin(undefined, undefined, 'f', '{"x":1}'), begin(undefined, undefined, 'g', '{"y":2}')),
    [
      { ...f, id: 'call_0' },
      { ...g, id: 'call_1' },
    ],
  )
  assert.deepEqual(assembled(begin(undefined, undefined, 'f', '{"x"'), part(undefined, ':1}', { id: 'a' })), [f])
  assert.deepEqual(
    assembled(
      part(undefined, '', { id: 'a' }),
      part(undefined, '', { id: 'b' }),
      begin(undefined, 'a', 'f', '{"x":1}'),
      begin(undefined, 'b', 'g', '{"y":2}'),
    ),
    [f, g],
  )
})

test('one index for calls with different ids', () => {
  const calls = assembled(begin(0, 'a', 'f', '{"x":1}'), begin(0, 'b', 'g', '{"y"'), part(0, ':2}'))
  assert.deepEqual(calls, [f, g])
})

test('arguments that are missing, empty, an object, or not to be used', () => {
  const [none, empty, object, text, list, broken, nameless] = assembled(
    { index: 0, id: '0', function: { name: 'f' } },
    begin(1, '1', 'f', ' '),
    { index: 2, id: '2', function: { name: 'f', arguments: { a: 1 } } },
    begin(3, '3', 'f', '"text"'),
    begin(4, '4', 'f', '[]'),
    begin(5, '5', 'f', '{"a":'),
    { index: 6, id: '6', function: null },
  )
  assert.deepEqual([none?.arguments, none?.invalid], ['{}', undefined])
  assert.deepEqual([empty?.arguments, empty?.invalid], ['{}', undefined])
  assert.deepEqual([object?.arguments, object?.invalid], ['{"a":1}', undefined])
  assert.equal(text?.invalid, 'The arguments are not a JSON object.')
  assert.equal(list?.invalid, 'The arguments are not a JSON object.')
  assert.deepEqual([broken?.arguments, broken?.invalid], ['{"a":', 'The arguments are not valid JSON.'])
  assert.equal(nameless?.invalid, 'The call names no function.')
})
