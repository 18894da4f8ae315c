import assert from 'node:assert/strict'
import { it } from 'node:test'
import { newId } from '#ids.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'

it('a cursor leads back to its entry', () => {
  const entry = { id: newId('conv'), updatedAt: 1_767_614_400_000 }
  const cursor = encodeCursor(entry)
  assert.match(cursor, /^[\w-]+$/)
  assert.deepEqual(decodeCursor(cursor), entry)
})

it('what is no cursor is refused', () => {
  const encode = (text: string) => Buffer.from(text).toString('base64url')
  const id = newId('conv')
  for (const cursor of ['', 'x', '%%', encode('1'), encode(`/${id}`), encode(`-1/${id}`), encode(`1e3/${id}`)]) {
    assert.throws(() => decodeCursor(cursor), { code: 'invalid_request', param: 'cursor' })
  }
  for (const text of [`1/${newId('turn')}`, `1/${id}/`, `1/${id}0`, `${'9'.repeat(16)}/${id}`, '1/data-key']) {
    assert.throws(() => decodeCursor(encode(text)), { code: 'invalid_request', param: 'cursor' })
  }
})
