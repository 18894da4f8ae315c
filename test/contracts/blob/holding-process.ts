import { join } from 'node:path'
import { createLog } from '#log.ts'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import { holdLock } from '#platform/blob/folder-lock.ts'
import { systemClock } from '#platform/clock.ts'

/** Has the lease `leader`, and the lock of the folder, until it is killed. */

const [root = ''] = process.argv.slice(2)
const store = new FolderBlobStore({ root, clock: systemClock, log: createLog('silent') })
if (!(await store.lease('leader', 15_000))) throw new Error('somebody else has it')
await holdLock(systemClock, join(root, '.parley', 'lock.db'), () => {
  process.stdout.write('holding\n')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
})
