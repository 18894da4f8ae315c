import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from './ids.ts'

test('ids are UUIDs of version 7, each greater than the one before, however many a millisecond makes', () => {
  const before = Date.now()
  const ids = Array.from({ length: 50_000 }, () => newId('run'))
  assert.deepEqual(ids, ids.toSorted())
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) assert.match(id, /^run_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
  const times = ids.map((id) => Number.parseInt(id.slice(4, 16), 16))
  assert.ok(times.every((time) => time >= before))
  // What comes after the counter stays random.
  assert.ok(new Set(ids.map((id) => id.slice(21))).size > 49_990)
})
