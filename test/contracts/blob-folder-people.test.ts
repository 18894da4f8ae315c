import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import { systemClock } from '#platform/clock.ts'
import { capturedLog } from '../support/captured-log.ts'
import { found, listed } from './blob/under-test.ts'

/** What people, editors and file systems do to a folder. */

async function folder(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), 'parley-blobs-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const { log, lines } = capturedLog()
  const open = () => new FolderBlobStore({ root, clock: systemClock, log })
  return { root, lines, open, store: open(), write: (file: string, text: string) => writeFile(join(root, file), text) }
}

test('what people write is got, and its etag changes with it', async (t) => {
  const { root, store, write } = await folder(t)
  const etags = new Set<string>()
  await write('v1.yaml', 'one')
  etags.add((await found(store, 'v1.yaml')).etag)
  await write('v1.yaml', 'longer')
  etags.add((await found(store, 'v1.yaml')).etag)
  await write('.v1.yaml.swp', 'longed')
  await rename(join(root, '.v1.yaml.swp'), join(root, 'v1.yaml'))
  etags.add((await found(store, 'v1.yaml')).etag)
  const { etag, modifiedAt } = await found(store, 'v1.yaml')
  await write('v1.yaml', 'longes')
  await utimes(join(root, 'v1.yaml'), modifiedAt / 1000, modifiedAt / 1000)
  assert.notEqual((await found(store, 'v1.yaml')).etag, etag)
  assert.equal(etags.size, 3)
  assert.equal(await store.put('v1.yaml', Buffer.from('x'), { ifMatch: etag }), undefined)
  assert.equal((await found(store, 'v1.yaml')).bytes.toString(), 'longes')
})

test('files are listed whatever their names, but for those with a dot; folders and links to nowhere are not', async (t) => {
  const { root, store, write } = await folder(t)
  await write('v1.yaml', 'one')
  await write('w w.yaml', 'odd')
  await write('.hidden.yaml', 'hidden')
  await mkdir(join(root, 'v3.yaml'))
  await symlink('.hidden.yaml', join(root, 'v2.yaml'))
  await symlink('.nowhere', join(root, 'v4.yaml'))
  await symlink('v5.yaml', join(root, 'v5.yaml'))
  assert.deepEqual(
    (await listed(store, '')).map(({ name, size }) => [name, size]),
    [
      ['v1.yaml', 3],
      ['v2.yaml', 6],
      ['w w.yaml', 3],
    ],
  )
  assert.equal((await found(store, 'v2.yaml')).bytes.toString(), 'hidden')
  for (const name of ['v3.yaml', 'v4.yaml', 'v5.yaml', 'v1.yaml/x']) assert.equal(await store.get(name), undefined)
  await assert.rejects(store.put('v3.yaml', Buffer.from('x')), RangeError)
  await assert.rejects(store.put('v1.yaml/x', Buffer.from('x')), RangeError)
  assert.equal(await store.delete('v3.yaml'), false)
})

test('a link is replaced, what it leads to is left alone; a folder that is a link leads nowhere', async (t) => {
  const { root, store, write } = await folder(t)
  const elsewhere = await mkdtemp(join(tmpdir(), 'parley-elsewhere-'))
  t.after(() => rm(elsewhere, { recursive: true }))
  await writeFile(join(elsewhere, 'a'), 'theirs')
  await symlink(join(elsewhere, 'a'), join(root, 'linked'))
  await symlink(elsewhere, join(root, 'out'))
  await write('a', 'ours')
  assert.equal((await found(store, 'linked')).bytes.toString(), 'theirs')
  await store.put('linked', Buffer.from('ours'))
  assert.equal((await found(store, 'linked')).bytes.toString(), 'ours')
  assert.equal(await store.get('out/a'), undefined)
  assert.deepEqual(await listed(store, 'out/'), [])
  assert.equal(await store.delete('out/a'), false)
  await assert.rejects(store.put('out/b', Buffer.from('x')), RangeError)
  assert.deepEqual(await readdir(elsewhere), ['a'])
})

test('a folder that has gone is out of reach, is not made anew, and comes back by itself', async (t) => {
  const { root, store, lines } = await folder(t)
  await store.put('history/1', Buffer.from('one'))
  await rename(root, `${root}-away`)
  const away = { code: 'blob_unavailable' }
  for (const call of [
    () => store.get('history/1'),
    () => store.put('history/2', Buffer.from('x')),
    () => store.put('a', Buffer.from('x')),
    () => store.delete('a'),
    () => listed(store, 'history/'),
    () => listed(store, ''),
    () => store.lease('leader', 15_000),
  ]) {
    await assert.rejects(call, away)
    assert.equal(store.reachable, false)
  }
  assert.equal(existsSync(root), false)
  await rename(`${root}-away`, root)
  assert.equal((await found(store, 'history/1')).bytes.toString(), 'one')
  assert.equal(store.reachable, true)
  assert.ok(await store.put('a', Buffer.from('x')))
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['The folder of blobs is out of reach', 'The folder of blobs is within reach'],
  )
})

test('a file that cannot be read is at fault alone', {
  skip: !existsSync('/proc/self/mem') && 'needs /proc',
}, async (t) => {
  const { root, store, write } = await folder(t)
  await write('v1.yaml', 'one')
  await symlink('/proc/self/mem', join(root, 'v2.yaml'))
  await assert.rejects(store.get('v2.yaml'), { code: 'blob_unavailable', message: /EIO/ })
  assert.equal(store.reachable, true)
  assert.equal((await found(store, 'v1.yaml')).bytes.toString(), 'one')
})

test('a folder that is read-only can be read; writing says what is wrong', {
  skip: process.platform === 'win32' && 'needs permissions of POSIX',
}, async (t) => {
  const { root, store, write } = await folder(t)
  await write('v1.yaml', 'one')
  await chmod(root, 0o555)
  // Root may write everywhere.
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  try {
    assert.equal((await found(store, 'v1.yaml')).bytes.toString(), 'one')
    assert.equal((await listed(store, '')).length, 1)
    const refused = { code: 'blob_unavailable', message: /cannot be written to \(EACCES\)/ }
    await assert.rejects(store.put('v2.yaml', Buffer.from('two')), refused)
    await assert.rejects(store.delete('v1.yaml'), refused)
    await assert.rejects(store.lease('leader', 15_000), refused)
    assert.equal(store.reachable, true)
  } finally {
    if (isRoot) process.seteuid?.(0)
    await chmod(root, 0o755)
  }
})

test('what a crash has left is swept by the next who writes', async (t) => {
  const { root, open, store, write } = await folder(t)
  await store.put('a', Buffer.from('x'))
  for (const [file, hoursAgo] of [
    ['old.draft', 2],
    ['new.draft', 0],
  ] as const) {
    await write(`.parley/${file}`, 'half')
    const at = Date.now() / 1000 - hoursAgo * 3600
    await utimes(join(root, '.parley', file), at, at)
  }
  await open().put('a', Buffer.from('y'))
  assert.deepEqual((await readdir(join(root, '.parley'))).sort(), ['lock.db', 'new.draft'])
})
