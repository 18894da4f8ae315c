import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createLog } from '#log.ts'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import { found, turnedClock } from './blob/under-test.ts'

/** What several processes do to one folder, and what one leaves that is killed. */

const counter = fileURLToPath(new URL('./blob/counting-process.ts', import.meta.url))
const holderFile = fileURLToPath(new URL('./blob/holding-process.ts', import.meta.url))

async function folder(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), 'parley-blobs-'))
  t.after(() => rm(root, { recursive: true }))
  const clock = turnedClock()
  return { root, clock, store: new FolderBlobStore({ root, clock, log: createLog('silent') }) }
}

test('four processes count up one blob 50 times each: none is lost, and of each name one is the creator', async (t) => {
  const { root, store } = await folder(t)
  await store.put('count.json', Buffer.from('{"count":0}'))
  const counting = [1, 2, 3, 4].map(() => promisify(execFile)(process.execPath, [counter, root, '50']))
  const created = (await Promise.all(counting)).flatMap(({ stdout }): string[] => JSON.parse(stdout))
  assert.deepEqual(JSON.parse((await found(store, 'count.json')).bytes.toString()), { count: 200 })
  assert.deepEqual(created.toSorted(), Array.from({ length: 50 }, (_, round) => `created/${round}`).sort())
})

test('a process that is killed leaves no lock, and its lease runs out', async (t) => {
  const { root, clock, store } = await folder(t)
  await store.put('a', Buffer.from('before'))
  const holder = spawn(process.execPath, [holderFile, root], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(holder.stdout, 'data')
  let isWritten = false
  const writing = store.put('a', Buffer.from('after')).then(() => {
    isWritten = true
  })
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(isWritten, false)
  const gone = once(holder, 'exit')
  holder.kill('SIGKILL')
  await gone
  await writing
  assert.equal((await found(store, 'a')).bytes.toString(), 'after')
  assert.equal(await store.lease('leader', 15_000), undefined)
  clock.advance(16_000)
  assert.ok(await store.lease('leader', 15_000))
})

test('a process that neither lets go nor dies is not waited for without end', async (t) => {
  const { root, clock, store } = await folder(t)
  await store.put('a', Buffer.from('before'))
  const holder = spawn(process.execPath, [holderFile, root], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(holder.stdout, 'data')
  const writing = assert.rejects(store.put('a', Buffer.from('after')), { code: 'blob_unavailable', message: /lock/ })
  await new Promise((resolve) => setTimeout(resolve, 50))
  clock.advance(6000)
  await writing
  assert.equal((await found(store, 'a')).bytes.toString(), 'before')
  assert.equal(store.reachable, true)
  const gone = once(holder, 'exit')
  holder.kill('SIGKILL')
  await gone
})
