import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candidate, recordingSink } from '../../test/support/scripted-provider.ts'
import { ChunkReader } from './chunk-reader.ts'
import { Delivery } from './delivery.ts'
import { encodeFrame } from './encode-frame.ts'

test('what is held back is not visible, and was not spoken', () => {
  const reader = new ChunkReader('text')
  const sink = recordingSink()
  const continuing = candidate('m', { continuation: 'instructed' })
  const options = { sink, mode: 'text', candidate: continuing, reader, visible: 'one two', reason: 'stalled' } as const
  const delivery = new Delivery(options)
  const say = (content: string) =>
    delivery.piece(reader.push(encodeFrame({ id: 'x', created: 1, model: 'm' }, { content })))
  say('two')
  assert.deepEqual([delivery.visible, delivery.spoke, sink.shown], ['one two', false, ''])
  say(' three')
  assert.deepEqual([delivery.visible, delivery.spoke, sink.shown], ['one two three', true, ' three'])
})
