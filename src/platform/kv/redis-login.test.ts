import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createLog } from '#log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { objectIdOf, RedisLogin, renewalMs } from './redis-login.ts'

test('a token is renewed minutes before its end, each time at another moment', () => {
  assert.equal(renewalMs(3_600_000, 0), 3_600_000 - 180_000)
  assert.equal(renewalMs(3_600_000, 1), 3_600_000 - 270_000)
  assert.equal(renewalMs(60_000, 0), 45_000)
  assert.equal(renewalMs(60_000, 1), 30_000)
  fc.assert(
    fc.property(fc.integer({ min: -1e7, max: 1e8 }), fc.double({ min: 0, max: 1, noNaN: true }), (leftMs, random) => {
      const inMs = renewalMs(leftMs, random)
      assert.ok(inMs >= 1000)
      if (leftMs > 2000) assert.ok(inMs < leftMs)
    }),
  )
})

test('a failed renewal is tried again within seconds, and close ends it', async () => {
  const clock = manualClock()
  let asked = 0
  const signedIn: string[] = []
  const login = new RedisLogin({
    credential: {
      token: async () => {
        asked += 1
        if (asked % 2 === 0) throw new Error('not now')
        return {
          token: `.${Buffer.from('{"oid":"somebody"}').toString('base64url')}.`,
          expiresAt: clock.now() + 3_600_000,
        }
      },
    },
    clock,
    log: createLog('silent'),
    onCredentials: async (username) => void signedIn.push(username),
  })
  await login.start()
  assert.deepEqual(signedIn, ['somebody'])
  clock.advance(3_600_000 - 180_000)
  await new Promise(setImmediate)
  assert.equal(asked, 2)
  clock.advance(3000)
  await new Promise(setImmediate)
  assert.deepEqual([asked, signedIn.length], [3, 2])
  login.close()
  assert.equal(clock.pending, 0)
})

test('the user is the object id of the token', () => {
  const payload = (claims: string) => `head.${Buffer.from(claims).toString('base64url')}.signature`
  assert.equal(objectIdOf(payload('{"oid":"0c9e","sub":"x"}')), '0c9e')
  for (const token of [payload('{"sub":"x"}'), payload('{"oid":1}'), payload('null')]) {
    assert.throws(() => objectIdOf(token), { code: 'environment_invalid' })
  }
  assert.throws(() => objectIdOf('no token'))
})
