import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type Principal, partitionOf } from '#identity/principal.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { key } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { chatConfig } from '../../../test/support/chat-config.ts'
import { manualClock } from '../../../test/support/clock.ts'
import type { LiveShadow, ShadowBook } from '../shadow.ts'
import { createShadows } from './create.ts'

const MINUTE = 60_000
const olga: Principal = {
  tenant: 'home',
  id: 'olga',
  name: 'Olga',
  kind: 'user',
  roles: ['Config.Operator'],
  scopes: [],
}
const version = (name: string) => ({ name, hash: `hash of ${name}`, document: chatConfig({}) })
const versions = ['v1', 'v2'].map((name) => ({
  ...version(name),
  status: 'sound' as const,
  uploadedBy: null,
  approvedBy: null,
}))

async function openGround() {
  const turned = manualClock()
  const calendar = { aheadMs: 0 }
  // Days pass on the calendar alone: timers of a week are many.
  const clock = { ...turned, now: () => turned.now() + calendar.aheadMs }
  const { log } = capturedLog()
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  const noted: unknown[] = []
  const opened = new AsyncDisposableStack()
  opened.defer(() => kv.close())
  const replica = async (own: Kv = kv) => {
    const made = await createShadows({
      ...{ kv: own, clock, log },
      versions: { get: (name) => versions.find((one) => one.name === name), list: () => versions },
      stable: () => version('v1'),
      weakeningsOf: () => [],
      env: { budgetUsd: 100, turns: 1000 },
      secondOperator: true,
      note: (entry) => noted.push(entry),
    })
    opened.defer(() => made.close())
    const start = async (more: Partial<LiveShadow> = {}) => {
      const { etag } = await made.shadows.view()
      const asked = { version: 'v2', share: 100, budgetUsd: 10, turns: 100, ...more }
      return made.shadows.start(olga, { ...asked, ifMatch: etag })
    }
    return { ...made, start }
  }
  const pass = async (ms: number) => {
    turned.advance(ms)
    for (let turn = 0; turn < 50; turn++) await setImmediate()
  }
  return { clock, calendar, kv, noted, replica, pass, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

const liveOf = (book: ShadowBook): LiveShadow => book.live() ?? assert.fail('nothing is tried')

test('what one replica begins, the others hear of at once, and what it is stopped with too', async () => {
  await using ground = await openGround()
  const [one, two] = [await ground.replica(), await ground.replica()]
  await one.start()
  await ground.pass(0)
  assert.equal(liveOf(two.book).version, 'v2')
  const stopped: string[] = []
  two.book.onStop((shadow) => stopped.push(shadow))
  const { id } = liveOf(two.book)
  await one.shadows.stop(olga, { reason: 'Enough.', ifMatch: (await one.shadows.view()).etag })
  await ground.pass(0)
  assert.deepEqual([two.book.live(), stopped], [undefined, [id]])
  assert.deepEqual(ground.noted, [
    {
      ...{
        tenant: 'home',
        kind: 'rollout.moved',
        actor: partitionOf(olga),
        subject: 'v2',
        at: ground.clock.now(),
      },
      details: { to: 'shadow', shadow: id, share: 100, budgetUsd: 10, turns: 100 },
    },
    {
      ...{
        tenant: 'home',
        kind: 'rollout.moved',
        actor: partitionOf(olga),
        subject: 'v2',
        at: ground.clock.now(),
      },
      details: { to: 'shadow-stopped', shadow: id },
    },
  ])
})

test('replicas share one budget: of many copies at once, as many begin as it holds', async () => {
  await using ground = await openGround()
  const [one, two] = [await ground.replica(), await ground.replica()]
  await one.start({ turns: 7 })
  await ground.pass(0)
  const shadow = liveOf(two.book)
  const taken = await Promise.all(Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? one : two).book.take(shadow, 1)))
  const begun = taken.filter((copy) => copy !== undefined)
  assert.equal(begun.length, 7)
  await Promise.all(begun.map((copy, n) => (n % 2 === 0 ? one : two).book.settle(copy, 0.5, null)))
  const { live, finished, comparison } = await two.shadows.view()
  assert.deepEqual([live, finished[0]?.ended], [null, 'turns'])
  assert.deepEqual(comparison?.costUsd, { spent: 3.5, held: 0 })
})

test('a replica that dies with a copy leaves the budget what it was, and the shadow goes on', async () => {
  await using ground = await openGround()
  const [one, two] = [await ground.replica(), await ground.replica()]
  await one.start({ budgetUsd: 3 })
  await ground.pass(0)
  const shadow = liveOf(two.book)
  assert.ok(await one.book.take(shadow, 2), 'and nothing more is heard of it')
  assert.equal(await two.book.take(shadow, 2), undefined, 'it may come back')
  assert.ok(two.book.live())
  await ground.pass(10 * MINUTE)
  assert.ok(await two.book.take(shadow, 1))
  const { comparison } = await two.shadows.view()
  assert.deepEqual([comparison?.turns.lost, comparison?.costUsd], [1, { spent: 2, held: 1 }])
})

test('a replica that did not hear of the end makes no copy', async () => {
  await using ground = await openGround()
  const [one, two] = [await ground.replica(), await ground.replica({ ...ground.kv, listen: async () => () => {} })]
  await one.start()
  await ground.pass(5000)
  const shadow = liveOf(two.book)
  await one.shadows.stop(olga, { reason: 'Enough.', ifMatch: (await one.shadows.view()).etag })
  assert.equal(liveOf(two.book).id, shadow.id)
  assert.equal(await two.book.take(shadow, 1), undefined)
  assert.equal(two.book.live(), undefined)
})

test('it ends on its day, also where no turn comes, and not a moment before', async () => {
  await using ground = await openGround()
  const { start, book, shadows } = await ground.replica()
  const { live } = await start()
  const left = (live?.until ?? 0) - ground.clock.now()
  assert.equal(left, 7 * 24 * 60 * MINUTE)
  ground.calendar.aheadMs = left - 1
  assert.ok(await book.take(liveOf(book), 1))
  ground.calendar.aheadMs = left
  await ground.pass(5000)
  assert.equal((await shadows.view()).finished[0]?.ended, 'time')
})

test('where the live state was lost nothing is tried any more, and no budget begins anew', async () => {
  await using ground = await openGround()
  const { start, book } = await ground.replica()
  await start()
  const shadow = liveOf(book)
  await ground.kv.delete(key('shadow', `tally:${shadow.id}`))
  await assert.rejects(book.take(shadow, 1), { code: 'state_unavailable' })
  const stopped: string[] = []
  book.onStop((one) => stopped.push(one))
  await ground.kv.delete(key('shadow', 'state'))
  await ground.pass(5000)
  assert.deepEqual([book.live(), stopped], [undefined, [shadow.id]])
})

test('only operators begin and stop; what is refused leaves nothing behind', async () => {
  await using ground = await openGround()
  const { shadows } = await ground.replica()
  const asked = { version: 'v2', share: 1, budgetUsd: 1, turns: 1, ifMatch: '1' }
  const ada: Principal = { ...olga, roles: ['Chat.User'] }
  await assert.rejects(shadows.start(ada, asked), { code: 'forbidden' })
  await assert.rejects(shadows.stop(ada, { reason: '', ifMatch: '1' }), { code: 'forbidden' })
  await assert.rejects(shadows.start(olga, { ...asked, ifMatch: '7' }), { code: 'version_conflict' })
  assert.deepEqual((await shadows.view()).live, null)
  assert.deepEqual(ground.noted, [])
})
