import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyRequest } from 'fastify'
import { preferredWait, prefersNotToWait } from './prefer.ts'

const asking = (prefer?: string) => ({ headers: { prefer } }) as unknown as FastifyRequest

test('a wait is read among other preferences, whatever their case', () => {
  const cases: [prefer: string | undefined, seconds: number | undefined][] = [
    ['wait=5', 5],
    ['respond-async, Wait = 7; x=y', 7],
    ['return=minimal,wait="3"', 3],
    ['wait=0', 0],
    ['wait=5, wait=9', 5],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['wait', undefined],
    ['await=5', undefined],
    ['', undefined],
    [undefined, undefined],
  ]
  for (const [prefer, seconds] of cases) {
    assert.equal(preferredWait(asking(prefer), 60_000), seconds, `${prefer}`)
  }
})

test('a wait is granted up to the limit, and no further', () => {
  const granted = [59, 60, 61, 999_999_999].map((seconds) => preferredWait(asking(`wait=${seconds}`), 60_000))
  assert.deepEqual(granted, [59, 60, 60, 60])
})

test('respond-async is a word of its own', () => {
  for (const prefer of ['respond-async', 'wait=5, Respond-Async; x=y']) assert.ok(prefersNotToWait(asking(prefer)))
  for (const prefer of ['respond-asynchronous', 'no-respond-async', undefined]) {
    assert.ok(!prefersNotToWait(asking(prefer)))
  }
})
