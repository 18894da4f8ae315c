import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frameData } from './chunk-event.ts'

const frames: [frame: string, data: string | undefined][] = [
  ['data: {"a":1}\n\n', '{"a":1}'],
  ['data: {"a":1}\r\n\r\n', '{"a":1}'],
  ['data: {"a":1}\r\n\n', '{"a":1}'],
  ['data: {"a":1}\n', '{"a":1}'],
  ['data: {"a":1}', '{"a":1}'],
  ['data:{"a":1}\n\n', '{"a":1}'],
  ['data: \n\n', ''],
  ['data\n\n', ''],
  ['data: {"a":\ndata: 1}\n\n', '{"a":\n1}'],
  ['event: x\ndata: {"a":1}\n\n', '{"a":1}'],
  ['data: {"a":1}\n:c', '{"a":1}'],
  [': data: {"a":1}\n\n', undefined],
  ['\n\n', undefined],
]

test('reads the data of a frame, whatever its lines and their ends', () => {
  for (const [frame, data] of frames) assert.equal(frameData(frame), data, JSON.stringify(frame))
})
