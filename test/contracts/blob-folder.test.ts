import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '#log.ts'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import { turnedClock } from './blob/under-test.ts'
import { blobContract } from './blob.ts'

blobContract('a folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'parley-blobs-'))
  const clock = turnedClock()
  const options = { root, clock, log: createLog('silent') }
  return {
    store: new FolderBlobStore(options),
    other: new FolderBlobStore(options),
    passTime: async (ms) => clock.advance(ms),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  }
})
