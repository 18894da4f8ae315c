import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { requestIdOf, traceparentOf } from './request-context.ts'

const messageWith = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage

test('repeats a sane request id, and makes one in place of any other', () => {
  for (const id of ['a', 'req-1', 'A_b.c:d/e+f=g@h', 'x'.repeat(128)]) {
    assert.equal(requestIdOf(messageWith({ 'x-request-id': id })), id)
  }
  for (const id of ['', ' ', 'a b', 'a"b', 'a\tb', 'ü', '<script>', 'x'.repeat(129)]) {
    assert.match(requestIdOf(messageWith({ 'x-request-id': id })), /^req_[0-9a-f]{32}$/)
  }
  assert.match(requestIdOf(messageWith({})), /^req_[0-9a-f]{32}$/)
})

test('keeps a valid traceparent only', () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
  const span = '00f067aa0ba902b7'
  assert.equal(traceparentOf(messageWith({ traceparent: `00-${trace}-${span}-01` })), `00-${trace}-${span}-01`)
  const broken = [
    `ff-${trace}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${trace}-${span}`,
    `00-${trace}-${span}-01-more`,
    '',
  ]
  for (const traceparent of broken) assert.equal(traceparentOf(messageWith({ traceparent })), null, traceparent)
  assert.equal(traceparentOf(messageWith({})), null)
})
