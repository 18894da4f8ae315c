import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blobLimits } from '#platform/blob/blob.ts'
import { type BlobsUnderTest, found, listed } from './blob/under-test.ts'

const twenty = Array.from({ length: 20 }, (_, index) => Buffer.from(`writer ${index}`))
const tricks = [
  '',
  '.',
  '..',
  '../x',
  'a/../b',
  '/a',
  'a/',
  'a//b',
  '.a',
  'a/.b',
  'a.',
  'a b',
  'a\\b',
  'a\0',
  'ä',
  'a?b',
  'a%2f',
]

/** What every engine has to do alike. Listings are to have pages of 3. */
export function blobContract(engine: string, open: () => Promise<BlobsUnderTest>): void {
  const check = (behaviour: string, body: (under: BlobsUnderTest) => Promise<void>) =>
    test(`blobs in ${engine}: ${behaviour}`, async () => {
      await using under = await open()
      await body(under)
    })

  check('what was put is got, with its size and time; what was not is undefined', async ({ store, other }) => {
    for (const text of ['x', '', 'Grüße, 世界 🌍\n\0']) {
      const bytes = Buffer.from(text)
      const written = await store.put('v1.yaml', bytes)
      const blob = await found(other, 'v1.yaml')
      assert.deepEqual(blob.bytes, bytes)
      assert.equal(blob.etag, written?.etag)
      assert.equal(blob.size, bytes.length)
      assert.equal(blob.name, 'v1.yaml')
      assert.ok(Math.abs(blob.modifiedAt - Date.now()) < 60_000)
    }
    assert.equal(await store.get('v2.yaml'), undefined)
    assert.equal(await store.get('none/v2.yaml'), undefined)
    assert.equal(store.reachable, true)
  })

  check('of twenty who create one is the first', async ({ store, other }) => {
    const wins = await Promise.all(
      twenty.map((bytes, index) => (index % 2 ? store : other).put('versions/one.json', bytes, { absent: true })),
    )
    assert.equal(wins.filter(Boolean).length, 1)
    const blob = await found(store, 'versions/one.json')
    assert.deepEqual(blob.bytes, twenty[wins.findIndex(Boolean)])
    assert.equal(blob.etag, wins.find(Boolean)?.etag)
  })

  check('of twenty who change one, one does; an etag never comes back', async ({ store, other }) => {
    const etags = new Set<string>()
    let etag = (await store.put('state.json', Buffer.from('writer 00')))?.etag ?? ''
    for (let round = 0; round < 5; round++) {
      etags.add(etag)
      const wins = await Promise.all(
        twenty.map((bytes, index) => (index % 2 ? store : other).put('state.json', bytes, { ifMatch: etag })),
      )
      assert.equal(wins.filter(Boolean).length, 1)
      assert.deepEqual((await found(store, 'state.json')).bytes, twenty[wins.findIndex(Boolean)])
      etag = wins.find(Boolean)?.etag ?? ''
    }
    assert.equal(etags.size, 5)
    assert.equal(await store.put('none.json', Buffer.from('x'), { ifMatch: etag }), undefined)
    assert.equal(await store.get('none.json'), undefined)
    assert.notEqual((await store.put('state.json', Buffer.from('writer 1')))?.etag, etag)
  })

  check('an etag spares the bytes of what is unchanged', async ({ store, other }) => {
    const first = await store.put('a', Buffer.from('one'))
    assert.equal(await other.get('a', { ifNot: first?.etag ?? '' }), 'unchanged')
    await store.put('a', Buffer.from('two'))
    const next = await other.get('a', { ifNot: first?.etag ?? '' })
    assert.equal(typeof next === 'object' && next.bytes.toString(), 'two')
    const empty = await store.put('a', Buffer.alloc(0))
    assert.equal(await other.get('a', { ifNot: empty?.etag ?? '' }), 'unchanged')
    assert.equal(await other.get('none', { ifNot: first?.etag ?? '' }), undefined)
  })

  check('no more bytes than asked for, and the size of all', async ({ store }) => {
    await store.put('a', Buffer.from('12345'))
    for (const maxBytes of [1, 4, 5, 6]) {
      const blob = await store.get('a', { maxBytes })
      assert.ok(typeof blob === 'object')
      assert.deepEqual([blob.bytes.toString(), blob.size], ['12345'.slice(0, maxBytes), 5])
    }
    for (const maxBytes of [0, -1, 1.5, Number.NaN]) await assert.rejects(store.get('a', { maxBytes }), RangeError)
  })

  check('a body at the limit is taken whole, one past it is not', async ({ store }) => {
    const bytes = Buffer.alloc(blobLimits.bytes + 1, 'abcdefg')
    await assert.rejects(store.put('a', bytes), RangeError)
    await store.put('a', bytes.subarray(0, -1))
    const blob = await found(store, 'a')
    assert.equal(blob.size, blobLimits.bytes)
    assert.ok(blob.bytes.equals(bytes.subarray(0, -1)))
  })

  check('a listing is of one level, and has more than one page', async ({ store, other }) => {
    const names = Array.from({ length: 8 }, (_, index) => `history/00${index}.json`)
    for (const name of [...names, 'history/deep/er.json', 'v1.yaml', 'v2.yaml']) {
      await store.put(name, Buffer.from(name))
    }
    const inHistory = await listed(other, 'history/')
    assert.deepEqual(
      inHistory.map(({ name }) => name),
      names,
    )
    const { bytes: _, ...info } = await found(store, 'history/003.json')
    assert.deepEqual(inHistory[3], info)
    for (const [prefix, names] of [
      ['', ['v1.yaml', 'v2.yaml']],
      ['v2', ['v2.yaml']],
      ['history/007', ['history/007.json']],
      ['none/', []],
      ['history', []],
    ] as const) {
      assert.deepEqual(
        (await listed(store, prefix)).map(({ name }) => name),
        names,
      )
    }
  })

  check('what is deleted is gone, and only if it is the one that was meant', async ({ store, other }) => {
    const first = await store.put('a', Buffer.from('one'))
    const second = await store.put('a', Buffer.from('two'))
    assert.equal(await other.delete('a', { ifMatch: first?.etag ?? '' }), false)
    assert.equal(await other.delete('a', { ifMatch: second?.etag ?? '' }), true)
    assert.equal(await store.get('a'), undefined)
    assert.equal(await store.delete('a'), false)
    assert.equal(await store.delete('a', { ifMatch: second?.etag ?? '' }), false)
    assert.ok(await store.put('a', Buffer.from('three'), { absent: true }))
    assert.equal(await store.delete('a'), true)
  })

  check('names at their limits are taken, those past them and tricks are not', async ({ store }) => {
    const longest = `${'s'.repeat(blobLimits.segmentLength)}/${'t'.repeat(blobLimits.segmentLength)}/`.padEnd(512, 'u')
    assert.equal(longest.length, blobLimits.nameLength)
    for (const name of ['a', 'A-1_2.b..c', longest]) {
      await store.put(name, Buffer.from(name))
      assert.equal((await found(store, name)).bytes.toString(), name)
    }
    for (const name of [...tricks, `${longest}u`, 's'.repeat(blobLimits.segmentLength + 1)]) {
      await assert.rejects(store.get(name), RangeError)
      await assert.rejects(store.put(name, Buffer.from('x')), RangeError)
      await assert.rejects(store.delete(name), RangeError)
      await assert.rejects(store.lease(name, 15_000), RangeError)
    }
    for (const prefix of ['../', './', '/', 'a/../', '.a', 'a b'])
      await assert.rejects(listed(store, prefix), RangeError)
  })

  check('of twenty who want a lease one has it, until it gives it back', async ({ store, other }) => {
    const leases = await Promise.all(twenty.map((_, index) => (index % 2 ? store : other).lease('leader', 15_000)))
    const [lease, ...more] = leases.filter((lease) => lease !== undefined)
    assert.equal(more.length, 0)
    assert.equal(await lease?.renew(), true)
    await lease?.release()
    assert.equal(await lease?.renew(), false)
    const next = await other.lease('leader', 60_000)
    assert.equal(await next?.renew(), true)
    await lease?.release()
    assert.equal(await next?.renew(), true)
  })

  check(
    'a lease that is not renewed is lost when its time is over, and stays lost',
    async ({ store, other, passTime }) => {
      const lease = await store.lease('leader', 15_000)
      await passTime(10_000)
      assert.equal(await lease?.renew(), true)
      await passTime(10_000)
      assert.equal(await other.lease('leader', 15_000), undefined)
      await passTime(6_000)
      const next = await other.lease('leader', 15_000)
      assert.ok(next)
      assert.equal(await lease?.renew(), false)
      await next.release()
      assert.equal(await lease?.renew(), false)
      await lease?.release()
    },
  )

  check('a lease is for 15 to 60 seconds', async ({ store }) => {
    for (const ttlMs of [14_999, 60_001, Number.NaN, 15_000.5]) {
      await assert.rejects(store.lease('leader', ttlMs), RangeError)
    }
    assert.ok(await store.lease('leader', 15_000))
    assert.ok(await store.lease('another', 60_000))
  })

  check('once closed it refuses', async ({ store }) => {
    await store.close()
    for (const call of [store.get('a'), store.put('a', Buffer.from('x')), store.delete('a'), listed(store, '')]) {
      await assert.rejects(call, { code: 'blob_unavailable' })
    }
    await store.close()
  })
}
