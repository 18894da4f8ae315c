import assert from 'node:assert/strict'
import { type Check, somewhere } from './under-test.ts'

/** What the port promises of logs. */
export function logs(check: Check): void {
  check('a log keeps its order, takes gaps and refuses what is not above its top', async ({ kv, other }) => {
    const log = somewhere()
    assert.deepEqual(await kv.read(log, -1, 10), [])
    assert.equal(await kv.append(log, 0, Buffer.from('zero')), true)
    assert.equal(await other.append(log, 1, Buffer.from('one')), true)
    assert.equal(await kv.append(log, 1, Buffer.from('again')), false)
    assert.equal(await kv.append(log, 5, Buffer.from('five')), true)
    assert.equal(await kv.append(log, 3, Buffer.from('too late')), false)
    const all = [
      { position: 0, body: Buffer.from('zero') },
      { position: 1, body: Buffer.from('one') },
      { position: 5, body: Buffer.from('five') },
    ]
    assert.deepEqual(await other.read(log, -1, 10), all)
    assert.deepEqual(await kv.read(log, -1, 2), all.slice(0, 2))
    assert.deepEqual(await kv.read(log, 0, 10), all.slice(1))
    assert.deepEqual(await kv.read(log, 1, 10), all.slice(2))
    assert.deepEqual(await kv.read(log, 4, 10), all.slice(2))
    assert.deepEqual(await kv.read(log, 5, 10), [])
    assert.equal(await kv.delete(log), true)
    assert.deepEqual(await kv.read(log, -1, 10), [])
    assert.equal(await kv.append(log, 2, Buffer.from('two')), true)
  })

  check('a long log is read page by page while it is written', async (store) => {
    const { kv } = store
    const log = somewhere()
    const seen: number[] = []
    let after = -1
    for (let start = 0; start < 500; start += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, n) => kv.append(log, start + n, Buffer.from(`entry ${start + n}`))),
      )
      await store.pass(20)
      for (const { position, body } of await kv.read(log, after, 33)) {
        assert.equal(body.toString(), `entry ${position}`)
        seen.push(position)
        after = position
      }
    }
    for (let page = await kv.read(log, after, 33); page.length > 0; page = await kv.read(log, after, 33)) {
      for (const { position } of page) seen.push(position)
      after = seen.at(-1) ?? after
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 500 }, (_, n) => n),
    )
  })

  check('of twenty that append at one position one wins', async ({ kv, other }) => {
    const log = somewhere()
    for (let position = 0; position < 5; position++) {
      const taken = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 ? kv : other).append(log, position, Buffer.from(String(n)))),
      )
      assert.equal(taken.filter(Boolean).length, 1)
      const [entry] = await kv.read(log, position - 1, 1)
      assert.equal(entry?.body.toString(), String(taken.indexOf(true)))
    }
  })

  check('calls of one tick run in the order in which they were made', async ({ kv }) => {
    const log = somewhere()
    const appends = Array.from({ length: 300 }, (_, n) => kv.append(log, n, Buffer.from(String(n))))
    const page = kv.read(log, -1, 1000)
    const deleted = kv.delete(log)
    assert.ok((await Promise.all(appends)).every(Boolean))
    assert.equal((await page).length, 300)
    assert.equal(await deleted, true)
  })
}
