import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Change, JournalWriter, packEntries, readChanges, unpackEntries } from './sqlite-journal.ts'

const number = fc.maxSafeNat()
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const change: fc.Arbitrary<Change> = fc.record(
  {
    what: fc.constantFrom('set', 'unset', 'append'),
    id: number,
    name: fc.string({ unit: 'grapheme' }),
    position: number,
    bytes,
  },
  { noNullPrototype: true },
)

test('changes come back as they were written, without those that were taken back', () => {
  fc.assert(
    fc.property(fc.array(change), fc.array(change), fc.array(change), (kept, cut, after) => {
      const journal = new JournalWriter()
      const write = (changes: Change[]) => {
        for (const { what, id, name, position, bytes: body } of changes) journal.write(what, id, name, position, body)
      }
      write(kept)
      const mark = journal.length
      write(cut)
      journal.cut(mark)
      write(after)
      assert.deepEqual(readChanges(journal.content()), [...kept, ...after])
    }),
  )
})

test('a large change finds room, and the room is given back', () => {
  const journal = new JournalWriter()
  const large = Buffer.alloc(3 << 20, 7)
  journal.write('append', 1, '', 1, Buffer.from('small'))
  journal.write('append', 1, '', 2, large)
  assert.deepEqual(
    readChanges(journal.content()).map((each) => each.bytes.length),
    [5, large.length],
  )
  journal.cut(0)
  journal.write('set', 2, 'f', 0, Buffer.from('v'))
  assert.ok(journal.content().buffer.byteLength < large.length)
  assert.equal(readChanges(journal.content()).length, 1)
})

test('a journal that is no journal is refused', () => {
  const journal = new JournalWriter()
  journal.write('set', 2, 'f', 0, Buffer.from('v'))
  const content = Buffer.from(journal.content())
  content[0] = 9
  assert.throws(() => readChanges(content), RangeError)
})

test('entries come back as they were packed', () => {
  const entry = fc.record({ position: number, body: bytes }, { noNullPrototype: true })
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      assert.deepEqual(unpackEntries(packEntries(entries)), entries)
    }),
  )
})
