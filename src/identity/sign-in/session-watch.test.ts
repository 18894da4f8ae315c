import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createKv } from '#platform/kv/create-kv.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { SessionWatch } from './session-watch.ts'

const session = key('ana', 'session:1')

/** Something that watches over a store whose signals may be lost, and that may be away. */
async function site(t: TestContext) {
  const clock = manualClock()
  const { log } = capturedLog()
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock: manualClock(), log }))
  t.after(() => kv.close())
  await kv.put(session, Buffer.from('on'))
  const fault = { away: false, looks: 0 }
  const run: Kv['run'] = (operation, keys, args) => {
    fault.looks += 1
    return fault.away ? Promise.reject(new Error('away')) : kv.run(operation, keys, args)
  }
  const deaf = { listen: () => Promise.reject(new Error('no signals')), run }
  const settled = async () => {
    for (let times = 0; times < 20; times++) await setImmediate()
  }
  const pass = async (ms: number) => {
    clock.advance(ms)
    await settled()
  }
  const watching = (signals: boolean) =>
    new SessionWatch({ kv: signals ? { listen: kv.listen.bind(kv), run } : deaf, clock, log })
  const pending = () => clock.pending
  return { kv, pending, fault, pass, settled, watching }
}

test('an end is heard of within half a second where the signal is lost, once by each who watches', async (t) => {
  const { kv, pending, pass, settled, watching } = await site(t)
  const watch = watching(false)
  const heard: string[] = []
  watch.watch(session, () => heard.push('one'))
  watch.watch(session, () => heard.push('two'))
  const stop = watch.watch(session, () => heard.push('gone'))
  await settled()
  stop()
  await pass(500)
  assert.equal(heard.length, 0)
  await kv.delete(session)
  await pass(500)
  assert.deepEqual(heard, ['one', 'two'])
  await pass(5000)
  assert.equal(heard.length, 2)
  assert.equal(pending(), 0, 'nobody watches any more')
})

test('an end is heard of at once where it is signalled', async (t) => {
  const { kv, settled, watching } = await site(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  let heard = 0
  watching(true).watch(session, () => {
    heard += 1
    resolve()
  })
  await settled()
  await kv.delete(session)
  await kv.signal(session)
  await promise
  assert.equal(heard, 1)
})

test('a session that ended before it was watched is told of, and a signal alone ends none', async (t) => {
  const { kv, fault, settled, watching } = await site(t)
  const watch = watching(true)
  const heard: string[] = []
  watch.watch(session, () => heard.push('on'))
  await settled()
  await kv.signal(session)
  await settled()
  assert.equal(heard.length, 0)
  assert.ok(fault.looks >= 2)
  watch.watch(key('ana', 'session:2'), () => heard.push('never was'))
  await settled()
  assert.deepEqual(heard, ['never was'])
})

test('with the store away what was on stays so, and its end is heard of when it is back', async (t) => {
  const { kv, fault, pass, settled, watching } = await site(t)
  let heard = 0
  watching(false).watch(session, () => {
    heard += 1
  })
  await settled()
  fault.away = true
  await kv.delete(session)
  await pass(5000)
  assert.equal(heard, 0)
  fault.away = false
  await pass(500)
  assert.equal(heard, 1)
})

test('who watches no more asks for nothing more, also when another begins at that moment', async (t) => {
  const { pending, fault, pass, settled, watching } = await site(t)
  const watch = watching(false)
  const stop = watch.watch(session, () => {})
  await settled()
  stop()
  assert.equal(pending(), 0)
  const again = watch.watch(session, () => {})
  await settled()
  const before = fault.looks
  await pass(500)
  assert.equal(fault.looks, before + 1)
  again()
  assert.equal(pending(), 0)
})
