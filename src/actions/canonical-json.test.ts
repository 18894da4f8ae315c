import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalJson, hashOfJson } from './canonical-json.ts'

test('members are in order at every depth, lists stay as they are', () => {
  assert.equal(canonicalJson({ b: [2, 1, { d: 1, c: 2 }], a: null }), '{"a":null,"b":[2,1,{"c":2,"d":1}]}')
  assert.equal(canonicalJson(JSON.parse('{"__proto__":{"x":1},"a":"é"}')), '{"__proto__":{"x":1},"a":"é"}')
})

test('equal values have equal hashes, others have not', () => {
  assert.equal(hashOfJson({ a: 1, b: 2 }), hashOfJson({ b: 2, a: 1 }))
  assert.notEqual(hashOfJson({ a: 1 }), hashOfJson({ a: '1' }))
  assert.match(hashOfJson({}), /^[0-9a-f]{64}$/)
})
