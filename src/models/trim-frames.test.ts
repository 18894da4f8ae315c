import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { relayedText } from '../../test/support/scripted-provider.ts'
import { encodeFrame } from './encode-frame.ts'
import { trimFrames } from './trim-frames.ts'

const wire = { id: 'chatcmpl-1', created: 1, model: 'm' }
const frame = (delta: object, finish?: string) => encodeFrame(wire, { ...delta }, finish)

test('property: exactly the first characters are gone, however they were framed', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 8 }), fc.nat(40), (pieces, skip) => {
      const frames = Buffer.concat(pieces.map((content) => frame({ content })))
      assert.equal(relayedText(trimFrames(frames, skip)), pieces.join('').slice(skip))
    }),
    { numRuns: 500 },
  )
})

test('all else stays as it was sent', () => {
  const role = frame({ role: 'assistant', content: '' })
  const call = frame({ tool_calls: [{ index: 0, id: 'call_1', function: { name: 'f', arguments: '{' } }] })
  const last = frame({}, 'stop')
  const trimmed = trimFrames(Buffer.concat([role, frame({ content: 'said new' }), call, last]), 5)
  assert.deepEqual(trimmed, Buffer.concat([role, frame({ content: 'new' }), call, last]))
})

test('a refusal counts as text, after the content', () => {
  const trimmed = trimFrames(frame({ content: 'ab', refusal: 'cd' }), 3).toString()
  assert.deepEqual(JSON.parse(trimmed.slice(6)).choices[0].delta, { content: '', refusal: 'd' })
})

test('lines may end with CRLF, and nothing to skip changes nothing', () => {
  const frames = Buffer.from(frame({ content: 'ab' }).toString().replaceAll('\n', '\r\n').repeat(2))
  assert.equal(relayedText(trimFrames(frames, 3)), 'b')
  assert.equal(trimFrames(frames, 0), frames)
})
