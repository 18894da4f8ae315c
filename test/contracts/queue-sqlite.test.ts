import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '#log.ts'
import { openQueue } from '#platform/queue/open.ts'
import { manualClock } from '../support/clock.ts'
import type { QueueUnderTest } from './queue/under-test.ts'
import { queueContract } from './queue.ts'

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }

queueContract('SQLite', async (): Promise<QueueUnderTest> => {
  const folder = await mkdtemp(join(tmpdir(), 'queue-'))
  const clock = manualClock()
  const queue = await openQueue({ env: { engine: 'sqlite', path: join(folder, 'queue.db') }, clock, log, tokens })
  return {
    queue,
    now: clock.now,
    pass: async (ms) => {
      clock.advance(ms)
      await new Promise((resolve) => setTimeout(resolve, 2))
    },
    [Symbol.asyncDispose]: async () => {
      await queue.close()
      await rm(folder, { recursive: true })
    },
  }
})
