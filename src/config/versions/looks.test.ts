import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { type Load, sealDocument } from '../load.ts'
import { openConfigVersions } from '../versions.ts'

/** So many versions that reading each would be what this file is about. */
const load: Load = async (name, bytes) => {
  const hash = await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes))
  const document = sealDocument({ description: name, models: {}, routes: {}, specialists: {} })
  return { version: { name, hash: Buffer.from(hash).toString('hex'), document } }
}

async function opened(t: TestContext, names: readonly string[], loadMs = 0) {
  const root = await mkdtemp(path.join(tmpdir(), 'parley-looks-'))
  t.after(() => rm(root, { recursive: true }))
  const [dir, rollout, cacheDir] = [path.join(root, 'versions'), path.join(root, 'rollout'), path.join(root, 'disk')]
  for (const folder of [dir, rollout]) await mkdir(folder)
  const write = (name: string) => writeFile(path.join(dir, `${name}.yaml`), name)
  await Promise.all(names.map(write))
  const clock = manualClock()
  const { log } = capturedLog()
  const slow: Load = (...given) => {
    clock.advance(loadMs)
    return load(...given)
  }
  const store = (folder: string) => new FolderBlobStore({ root: folder, clock, log })
  const blobs = { versions: store(dir), rollout: store(rollout) }
  const open = async (checkedBy: string) => {
    const some = await openConfigVersions({ blobs, place: dir, cacheDir, checkedBy, load: slow, clock, log })
    t.after(() => some.close())
    return some
  }
  const versions = await open('test')
  const looks = async () => {
    await versions.refresh()
    clock.advance(1000)
    await versions.refresh()
  }
  const kept = async () => (await readdir(cacheDir)).map((file) => file.replace('.version', '')).sort()
  const remove = (name: string) => rm(path.join(dir, `${name}.yaml`))
  return { versions, open, blobs, write, remove, looks, kept, clock }
}

const numbered = (count: number) => Array.from({ length: count }, (_, at) => `v${String(at + 1).padStart(3, '0')}`)

test('the 200 newest are known, and older ones from the look on that follows their being asked for', async (t) => {
  const { versions, write, looks, kept } = await opened(t, numbered(202))
  assert.equal(versions.list().length, 200)
  assert.deepEqual((await kept()).slice(0, 2), ['v003', 'v004'])
  assert.equal(versions.get('v001'), undefined)
  await versions.refresh()
  assert.equal(versions.get('v001')?.document.description, 'v001')
  assert.equal(versions.get('v002'), undefined)

  await write('v203')
  await looks()
  assert.equal(versions.newest().name, 'v203')
  await looks()
  // Of those asked for: the first two. The third has become old by the newest.
  assert.deepEqual((await kept()).slice(0, 3), ['v001', 'v002', 'v004'])
  assert.equal(versions.list().length, 202)
})

test('however many ask for a look while one is under way, one more follows, which sees what they have heard of', async (t) => {
  const { versions, blobs, write } = await opened(t, numbered(1))
  const list = blobs.versions.list.bind(blobs.versions)
  let listed = 0
  blobs.versions.list = (prefix) => {
    listed += 1
    return list(prefix)
  }
  const first = versions.refresh()
  while (listed === 0) await setImmediate()
  await write('v002')
  await Promise.all([first, ...Array.from({ length: 1000 }, () => versions.refresh())])
  assert.equal(listed, 2)
  await versions.refresh()
  assert.equal(listed, 3)
})

test('a start waits for the newest, and the rest becomes known soon after, while what is pushed goes first', async (t) => {
  const { versions, clock } = await opened(t, numbered(40), 100)
  const names = () => versions.list().map(({ name }) => name)
  const known = names()
  assert.ok(known.length >= 1 && known.length < 20, `${known.length} are known at the start`)
  assert.deepEqual(known, numbered(40).toReversed().slice(0, known.length))
  assert.equal(versions.newest().name, 'v040')
  const pushed = versions.push(null, 'v041', Buffer.from('v041'), 'yaml')
  await pushed
  assert.ok(names().length < 40)
  while (names().length < 41) {
    while (clock.pending === 0) await setImmediate()
    clock.advance(100)
    await versions.refresh()
  }
  assert.deepEqual(names(), numbered(41).toReversed())
})

test('an old version that is asked for goes before those that a start has left', async (t) => {
  const { versions } = await opened(t, numbered(60), 100)
  assert.equal(versions.get('v001'), undefined)
  await versions.refresh()
  assert.equal(versions.get('v001')?.document.description, 'v001')
  assert.ok(versions.list().length < 60)
})

test('a version that somebody holds is the same object for whoever asks, however many others were asked for since', async (t) => {
  const { versions } = await opened(t, numbered(60))
  const held = versions.get('v001')
  for (const name of numbered(60).slice(1)) assert.equal(versions.get(name)?.name, name)
  assert.equal(held?.document.description, 'v001')
  assert.equal(versions.get('v001'), held)
})

test('a version that the disk still had is told of when it is asked for, like one that is found in the store', async (t) => {
  const { versions: before, open, remove } = await opened(t, numbered(2))
  await before.close()
  await remove('v001')
  const versions = await open('another release')
  const heard: string[] = []
  versions.onChange(({ name }) => heard.push(name))
  assert.equal((await versions.find('v001'))?.name, 'v001')
  assert.deepEqual(heard, ['v001'])
})

test('a start has left something, and the store goes away: looks come every two seconds, as they did', async (t) => {
  const { blobs, clock } = await opened(t, numbered(40), 100)
  blobs.versions.list = () => {
    throw new ParleyError('blob_unavailable')
  }
  clock.advance(100)
  assert.equal(clock.pending, 0)
  while (clock.pending === 0) await setImmediate()
  clock.advance(1500)
  assert.equal(clock.pending, 1)
  clock.advance(500)
  assert.equal(clock.pending, 0)
})

test('a version that cannot be looked for is not taken for one that is gone', async (t) => {
  const { versions, blobs, write, clock } = await opened(t, numbered(1))
  assert.equal(await versions.find('v002'), undefined)
  const list = blobs.versions.list.bind(blobs.versions)
  blobs.versions.list = () => {
    throw new ParleyError('blob_unavailable')
  }
  clock.advance(2000)
  await assert.rejects(versions.find('v002'), { code: 'blob_unavailable' })
  assert.equal((await versions.find('v001'))?.name, 'v001')

  blobs.versions.list = list
  await write('v002')
  clock.advance(2000)
  // It may be in the middle of being written.
  await assert.rejects(versions.find('v002'), { code: 'blob_unavailable' })
  clock.advance(2000)
  assert.equal((await versions.find('v002'))?.name, 'v002')
})
