import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Call } from './engine.ts'
import { type Arg, key, type Operation } from './kv.ts'
import { boundOf, RedisCall, writeCall } from './redis-command.ts'

const operation: Operation<unknown> = { name: 'test.write', lua: 'return {}', twin: () => [], decode: () => undefined }

const ignore = () => {}

test('a call is written as what Redis reads, within its bound, whatever the arguments are', () => {
  const argument = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
  )
  fc.assert(
    fc.property(fc.array(argument), fc.integer({ min: 1, max: 3 }), (args: Arg[], count) => {
      const keys = Array.from({ length: count }, (_, n) => key('partition', `name-${n}`))
      const call = new RedisCall(new Call(operation, keys, args, ignore, ignore))
      const out = Buffer.alloc(boundOf(call) + 2, 0xff)
      const end = writeCall(out, 1, call)
      assert.ok(end <= out.length - 1)
      assert.equal(out[0], 0xff)
      assert.equal(out[end], 0xff)
      const words = readBulks(out.subarray(1, end))
      const expected = ['EVALSHA', call.script.sha, String(count), ...keys, ...args]
      assert.deepEqual(
        words,
        expected.map((word) => (word instanceof Uint8Array ? Buffer.from(word) : Buffer.from(String(word)))),
      )
    }),
  )
})

function readBulks(bytes: Buffer): Buffer[] {
  const line = (at: number) => bytes.indexOf('\r\n', at)
  const words: Buffer[] = []
  let at = line(0) + 2
  const count = Number(bytes.toString('latin1', 1, at - 2))
  while (at < bytes.length) {
    const end = line(at)
    const length = Number(bytes.toString('latin1', at + 1, end))
    words.push(Buffer.from(bytes.subarray(end + 2, end + 2 + length)))
    assert.equal(bytes.toString('latin1', end + 2 + length, end + 4 + length), '\r\n')
    at = end + 4 + length
  }
  assert.equal(words.length, count)
  return words
}
