import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, bob, type Containers, grounds, saying } from './grounds.ts'

const text = saying('x').toString()

const bad: [string, string | Buffer, RegExp][] = [
  ['binary', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff]), /is not UTF-8 text/],
  ['duplicate keys', `a: 1\na: 2\n${text}`, /is not valid YAML|is there twice/],
  ['a key twice', text.replace('{"description"', '{"description":"y","description"'), /is there twice/],
  ['a YAML bomb', bomb(9), /holds more than 200000 values/],
  ['an anchor in itself', '&a [*a]', /inside its own anchor/],
  ['a text', 'hello', /must be an object/],
  ['nothing', '', /is empty/],
]

function bomb(levels: number): string {
  const level = (depth: number) =>
    `a${depth}: &a${depth} [${Array(10)
      .fill(depth === 0 ? 'x' : `*a${depth - 1}`)
      .join(', ')}]`
  return Array.from({ length: levels }, (_, depth) => level(depth)).join('\n')
}

/** Pushing, approving, and what is put there to do harm. */
export function pushingCases(engine: string, containers: () => Promise<Containers>): void {
  test(`${engine}: what is pushed is known at once here, and soon elsewhere, with who pushed it`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using first = await at.replica('first')
    await using second = await at.replica('second')
    const { entry, created } = await first.versions.push(alice, 'v2', Buffer.from(text), 'yaml')
    assert.equal(created, true)
    assert.deepEqual([entry.name, entry.uploadedBy, entry.size, entry.status], ['v2', alice, text.length, 'sound'])
    assert.equal(first.versions.newest().name, 'v2')
    assert.equal((await first.versions.push(bob, 'v2', Buffer.from(text), 'yaml')).created, false)
    await first.looks()
    assert.deepEqual(first.faults(), [])
    await second.looks()
    assert.deepEqual(second.versions.list()[0]?.uploadedBy, alice)
    assert.equal((await second.versions.push(bob, 'v2', Buffer.from(text), 'yaml')).entry.uploadedBy?.id, 'alice')
    for (const { versions } of [first, second]) {
      await assert.rejects(versions.push(alice, 'v2', saying('other'), 'yaml'), { code: 'config_exists' })
      assert.deepEqual(await versions.source('v2'), { bytes: Buffer.from(text), format: 'yaml' })
      await assert.rejects(versions.source('v3'), { code: 'config_not_found' })
    }
  })

  test(`${engine}: a push that broke off is made whole by the same push, and by no other`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using replica = await at.replica()
    at.cut.add('versions.put')
    await assert.rejects(replica.versions.push(alice, 'v2', saying('two'), 'json'), { code: 'blob_unavailable' })
    at.cut.clear()
    await assert.rejects(replica.versions.push(bob, 'v2', saying('other'), 'json'), { code: 'config_exists' })
    const { entry, created } = await replica.versions.push(bob, 'v2', saying('two'), 'json')
    assert.deepEqual([created, entry.uploadedBy], [true, alice])
  })

  test(`${engine}: what is bad is not pushed, and harms nobody where it is uploaded`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using replica = await at.replica()
    for (const [index, [what, content, fault]] of bad.entries()) {
      const bytes = Buffer.from(content)
      const pushing = replica.versions.push(alice, `v2-${index}`, bytes, 'yaml')
      await assert.rejects(pushing, { code: 'config_invalid', message: fault }, what)
      const checked = await replica.versions.check('v2', bytes, 'yaml')
      assert.ok('faults' in checked && checked.faults.length > 0, what)
    }
    const names: string[] = []
    for await (const { name } of at.versions.list('')) names.push(name)
    assert.deepEqual(names, ['v1.json'])
    for (const [index, [, content]] of bad.entries()) await at.versions.put(`v3-${index}.yaml`, Buffer.from(content))
    await at.versions.put('v4.yaml', Buffer.alloc(10_000_000, '#'))
    await replica.looks()
    assert.equal(replica.versions.newest().name, 'v1')
    assert.equal(replica.faults().length, bad.length + 1)
    assert.ok(replica.faults().includes('v4.yaml is larger than 1048576 bytes'))
    const [refused] = replica.versions.list()
    assert.deepEqual([refused?.name, refused?.status, refused?.size], ['v4', 'refused', 10_000_000])
    await using again = await at.replica('again')
    assert.equal(again.versions.newest().name, 'v1')
  })

  test(`${engine}: names that lead elsewhere, and bodies that are too large, are refused`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using replica = await at.replica()
    for (const name of ['../v2', 'a/b', '.v2', '', 'v'.repeat(65), 'v2\0', 'v 2', '%2e%2e', '-v']) {
      await assert.rejects(replica.versions.push(alice, name, saying('two'), 'json'), { code: 'invalid_request' })
      await assert.rejects(replica.versions.check(name, saying('two'), 'json'), { code: 'invalid_request' })
      assert.equal(replica.versions.get(name), undefined)
    }
    const large = Buffer.alloc(1024 * 1024 + 1, '#')
    await assert.rejects(replica.versions.push(alice, 'v2', large, 'yaml'), { code: 'body_too_large' })
  })

  test(`${engine}: a name that is taken by a blob which is refused is not taken from it`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await at.versions.put('v2.yaml', Buffer.from('bad'))
    await using replica = await at.replica()
    await assert.rejects(replica.versions.push(alice, 'v2', saying('two'), 'json'), { code: 'config_exists' })
    await at.versions.put('v2.yaml', saying('corrected'))
    await replica.looks()
    assert.equal(replica.versions.newest().document.description, 'corrected')
  })

  test(`${engine}: of two blobs of one name the one is served that the register knows`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await (await at.replica())[Symbol.asyncDispose]()
    await at.versions.put('v1.yaml', saying('another'))
    await at.versions.put('v2.json', saying('two'))
    await at.versions.put('v2.yaml', saying('two'))
    for (const disk of ['disk', 'fresh']) {
      await using replica = await at.replica(disk)
      assert.equal(replica.versions.get('v1')?.document.description, 'one')
      assert.equal(replica.versions.get('v2'), undefined)
      assert.equal(replica.faults().length, 3)
    }
  })

  test(`${engine}: a second operator agrees, once, and every replica hears of it`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using first = await at.replica('first')
    await using second = await at.replica('second')
    await first.versions.push(alice, 'v2', saying('two'), 'json')
    await second.looks()
    await assert.rejects(second.versions.approve(alice, 'v2'), { code: 'forbidden' })
    await assert.rejects(second.versions.approve(bob, 'v3'), { code: 'config_not_found' })
    assert.deepEqual((await second.versions.approve(bob, 'v2')).approvedBy, bob)
    const late = { id: 'carol', name: 'Carol' }
    assert.deepEqual((await first.versions.approve(late, 'v2')).approvedBy, bob)
    await using third = await at.replica('third')
    assert.deepEqual(third.versions.list()[0]?.approvedBy, bob)
    assert.equal(third.versions.list()[1]?.approvedBy, null)
  })
}
