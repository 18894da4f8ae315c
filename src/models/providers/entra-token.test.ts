import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../../test/support/clock.ts'
import { entraToken } from './entra-token.ts'

const HOUR_MS = 3_600_000
const clock = () => manualClock()

/** A source that counts, whose next answer may be an error. */
function source(now: () => number) {
  const state = { asked: [] as string[], failing: false }
  const token = async (scope: string) => {
    state.asked.push(scope)
    if (state.failing) throw new Error('no identity')
    return { token: `t${state.asked.length}`, expiresAt: now() + HOUR_MS }
  }
  return { state, token }
}

test('is fetched once, for all who wait for it, and then at hand', async () => {
  const time = clock()
  const tokens = source(time.now)
  const token = entraToken(tokens, time)
  assert.deepEqual(await Promise.all([token(), token()]), ['t1', 't1'])
  assert.equal(token(), 't1')
  assert.deepEqual(tokens.state.asked, ['https://cognitiveservices.azure.com/.default'])
})

test('is renewed beside the calls shortly before it expires, and waited for when it has', async () => {
  const time = clock()
  const tokens = source(time.now)
  const token = entraToken(tokens, time)
  await token()
  time.advance(HOUR_MS - 5 * 60_000)
  assert.equal(token(), 't1')
  assert.equal(tokens.state.asked.length, 1)
  time.advance(1)
  assert.equal(token(), 't1')
  await new Promise(setImmediate)
  assert.equal(token(), 't2')
  time.advance(HOUR_MS - 30_000)
  assert.equal(token(), 't2')
  await new Promise(setImmediate)
  time.advance(HOUR_MS - 29_999)
  const waited = token()
  assert.notEqual(typeof waited, 'string')
  assert.equal(await waited, 't4')
})

test('a renewal that fails is tried again, and troubles no call while the token lasts', async () => {
  const time = clock()
  const tokens = source(time.now)
  const token = entraToken(tokens, time)
  tokens.state.failing = true
  await assert.rejects(async () => token(), /no identity/)
  tokens.state.failing = false
  assert.equal(await token(), 't2')
  time.advance(HOUR_MS - 60_000)
  tokens.state.failing = true
  assert.equal(token(), 't2')
  await new Promise(setImmediate)
  time.advance(40_000)
  await assert.rejects(async () => token(), /no identity/)
})
