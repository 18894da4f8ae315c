import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { startRedis } from './redis.ts'

export interface BothEngines extends AsyncDisposable {
  redis: Kv
  sqlite: Kv
}

/** What an engine needs beside its own settings. */
export const besideEngine = {
  clock: systemClock,
  log: createLog('silent'),
  tokens: { token: async () => ({ token: '', expiresAt: 0 }) },
}

/** Key-value state on a real Redis and on SQLite, for steps that have to do the same on both. */
export async function startBothEngines(): Promise<BothEngines> {
  const server = await startRedis()
  const redis = await openKv({
    env: { engine: 'redis', url: server.url, cluster: false, auth: 'url' },
    ...besideEngine,
  })
  const sqlite = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...besideEngine })
  return {
    redis,
    sqlite,
    async [Symbol.asyncDispose]() {
      await Promise.all([redis.close(), sqlite.close()])
      await server[Symbol.asyncDispose]()
    },
  }
}
