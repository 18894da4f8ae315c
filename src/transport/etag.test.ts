import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyRequest } from 'fastify'
import { ParleyError } from '#errors.ts'
import { etagOf, versionToMatch } from './etag.ts'

const requestWith = (ifMatch?: string) => ({ headers: { 'if-match': ifMatch } }) as FastifyRequest

test('reads back what it writes', () => {
  assert.equal(versionToMatch(requestWith(etagOf({ version: 12 }))), 12)
})

test('without the header, or with *, any version will do', () => {
  assert.equal(versionToMatch(requestWith()), undefined)
  assert.equal(versionToMatch(requestWith(' * ')), undefined)
})

test('a weak, foreign or broken tag matches nothing', () => {
  for (const tag of ['W/"3"', '"abc"', '3', '"3", "4"', '""', '', `"${'9'.repeat(16)}"`]) {
    assert.throws(
      () => versionToMatch(requestWith(tag)),
      (error) => error instanceof ParleyError && error.code === 'version_conflict' && error.param === 'if-match',
      tag,
    )
  }
})
