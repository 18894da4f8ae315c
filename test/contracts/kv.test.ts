import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import type { KvEnv } from '#env.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { manualClock } from '../support/clock.ts'
import { noOwnRedis, type RedisCluster, type RedisServer, startRedis, startRedisCluster } from '../support/redis.ts'
import type { KvUnderTest } from './kv/under-test.ts'
import { kvContract } from './kv.ts'

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
const skipCluster = await noOwnRedis()
const servers: { single?: RedisServer; cluster?: RedisCluster } = {}

before(async () => {
  servers.single = await startRedis()
  if (!skipCluster) servers.cluster = await startRedisCluster()
})

after(async () => {
  await servers.single?.[Symbol.asyncDispose]()
  await servers.cluster?.[Symbol.asyncDispose]()
})

kvContract('SQLite in a file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kv-'))
  return embedded(join(folder, 'state.db'), () => rm(folder, { recursive: true }))
})
kvContract('SQLite in memory', () => embedded(':memory:', async () => {}))
kvContract('Redis', () => onRedis(servers.single?.url, false))
kvContract('a Redis cluster', () => onRedis(servers.cluster?.url, true), skipCluster)

async function embedded(path: string, remove: () => Promise<void>): Promise<KvUnderTest> {
  const clock = manualClock()
  const kv = await openKv({ env: { engine: 'sqlite', path }, clock, log, tokens })
  return {
    kv,
    other: kv,
    pass: async (ms) => clock.advance(ms),
    [Symbol.asyncDispose]: async () => {
      await kv.close()
      await remove()
    },
  }
}

async function onRedis(url: string | undefined, cluster: boolean): Promise<KvUnderTest> {
  if (!url) throw new Error('the server is not there')
  const env: KvEnv = { engine: 'redis', url, cluster, auth: 'url' }
  const open = (): Promise<Kv> => openKv({ env, clock: systemClock, log, tokens })
  const [kv, other] = await Promise.all([open(), open()])
  return {
    kv,
    other,
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([kv.close(), other.close()])
    },
  }
}
