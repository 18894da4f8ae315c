import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createLog } from '#log.ts'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import { systemClock } from '#platform/clock.ts'
import { configVersionsContract } from './config-versions.ts'

configVersionsContract('folder', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'parley-containers-'))
  for (const name of ['versions', 'rollout']) await mkdir(path.join(root, name))
  const log = createLog('silent')
  return {
    open: (container) => new FolderBlobStore({ root: path.join(root, container), clock: systemClock, log }),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  }
})
