import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, test } from 'node:test'
import { endSession, endSessions, isSessionOn, openSession } from '#identity/sign-in/session-steps.ts'
import { keepToken, yieldToken } from '#identity/user-tokens/keep-token.ts'
import { key } from '#platform/kv/kv.ts'
import { startBothEngines } from '../support/both-engines.ts'

const engines = await startBothEngines()
const { redis, sqlite } = engines
after(() => engines[Symbol.asyncDispose]())

const HOUR = 3_600_000

for (const kv of [sqlite, redis]) {
  describe(`the state of sign-ins on ${kv.engine}`, () => {
    /** Somebody new, and their sessions. */
    function person() {
      const partition = `p-${randomUUID()}`
      const sessions = key(partition, 'sessions')
      const at = (name: string) => key(partition, `session:${name}`)
      const open = (name: string, openedAt: number, over = 0) =>
        kv.run(openSession, [at(name), sessions], [Buffer.from(name), HOUR, `session:${name}`, openedAt, over, HOUR])
      const isOn = (name: string) => kv.run(isSessionOn, [at(name)], [])
      const endAll = () => kv.run(endSessions, [sessions], [key(partition, '')])
      return { sessions, at, open, isOn, endAll, token: key(partition, 'token') }
    }

    test('a session is on until it is ended, and reads as any value', async () => {
      const { open, at, isOn, sessions } = person()
      await open('a', 1)
      await open('b', 2)
      assert.deepEqual(await kv.get(at('a')), { value: Buffer.from('a'), version: 1 })
      assert.equal(await kv.put(at('a'), Buffer.from('a2'), { ifVersion: 1, ttlMs: HOUR }), 2)
      await kv.run(endSession, [at('a'), sessions], ['session:a'])
      assert.deepEqual([await isOn('a'), await isOn('b')], [false, true])
      assert.equal(await kv.put(at('a'), Buffer.from('late'), { ifVersion: 2, ttlMs: HOUR }), undefined)
    })

    test('ending tells whoever listens, once for each session that was on', async () => {
      const { open, at, endAll, isOn, sessions } = person()
      const told: string[] = []
      const { promise: both, resolve } = Promise.withResolvers<void>()
      const hear = (name: string) => () => {
        told.push(name)
        if (told.length === 2) resolve()
      }
      await open('a', 1)
      await open('b', 2)
      await open('gone', 3)
      await kv.delete(at('gone'))
      const stops = await Promise.all(['a', 'b', 'gone'].map((name) => kv.listen(at(name), hear(name))))
      assert.deepEqual(await endAll(), { isAll: true, ended: 2 })
      await both
      assert.deepEqual(told.sort(), ['a', 'b'])
      assert.deepEqual([await isOn('a'), await isOn('b')], [false, false])
      assert.deepEqual(await endAll(), { isAll: true, ended: 0 })
      await kv.run(endSession, [at('a'), sessions], ['session:a'])
      for (const stop of stops) stop()
    })

    test('those whose time is over are forgotten as others begin; more than a thousand are ended in parts', async () => {
      const { open, endAll } = person()
      await open('old', 10)
      await open('new', 20, 10)
      assert.equal((await endAll()).ended, 1)
      await Promise.all(Array.from({ length: 1001 }, (_, index) => open(String(index), index + 1)))
      assert.deepEqual(
        [await endAll(), await endAll()],
        [
          { isAll: false, ended: 1000 },
          { isAll: true, ended: 1 },
        ],
      )
    })

    test('of tokens the one that lasts longest is kept, of two that last as long the later', async () => {
      const { token } = person()
      const keep = (name: string, endsAt: number) => kv.run(keepToken, [token], [Buffer.from(name), endsAt, HOUR])
      const kept = async () => (await kv.get(token))?.value.toString()
      assert.equal(await keep('first', 1_795_277_779_123), true)
      assert.equal(await keep('shorter', 1_795_277_779_122), false)
      assert.equal(await kept(), 'first')
      assert.equal(await keep('as long', 1_795_277_779_123), true)
      assert.equal(await keep('longer', 1_795_277_779_124), true)
      assert.equal(await kept(), 'longer')
    })

    test('one that was refused stays, and gives way to any other; another that came meanwhile does not', async () => {
      const { token } = person()
      const keep = (name: string, endsAt: number) => kv.run(keepToken, [token], [Buffer.from(name), endsAt, HOUR])
      await keep('refused', 100)
      await kv.run(yieldToken, [token], [Buffer.from('another')])
      assert.equal(await keep('shorter', 50), false)
      await kv.run(yieldToken, [token], [Buffer.from('refused')])
      assert.equal((await kv.get(token))?.value.toString(), 'refused')
      assert.equal(await keep('shorter', 50), true)
      await kv.run(yieldToken, [key('nobody', 'token')], [Buffer.from('x')])
      assert.equal(await kv.get(key('nobody', 'token')), undefined)
    })
  })
}
