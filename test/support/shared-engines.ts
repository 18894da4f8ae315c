import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { TEST_MASTER_KEYS } from './app.ts'
import { type Broker, startBroker } from './broker/broker.ts'
import { type PostgresServer, sharedPostgres, startPostgres } from './postgres.ts'
import { type RedisServer, startRedis } from './redis.ts'

/** What replicas share: Redis, PostgreSQL and a broker, and the variables that name them. */
export interface SharedEngines extends AsyncDisposable {
  redis: RedisServer
  postgres: PostgresServer
  broker: Broker
  variables: Record<string, string>
}

export interface SharedEnginesOptions {
  redisArgs?: readonly string[]
  /** One that can be stopped and killed. */
  ownPostgres?: boolean
}

export async function startSharedEngines(options: SharedEnginesOptions = {}): Promise<SharedEngines> {
  await using opened = new AsyncDisposableStack()
  const redis = opened.use(await startRedis({ args: options.redisArgs ?? [] }))
  const postgres = opened.use(await (options.ownPostgres ? startPostgres() : sharedPostgres()))
  const broker = opened.use(await startBroker({ queues: ['parley-runs'] }))
  const rolloutDir = await mkdtemp(path.join(tmpdir(), 'parley-rollout-'))
  opened.defer(() => rm(rolloutDir, { recursive: true, force: true }))
  const variables = {
    REDIS_URL: redis.url,
    DATABASE_URL: await postgres.createDatabase(),
    SERVICE_BUS_CONNECTION_STRING: broker.connectionString,
    PARLEY_MASTER_KEYS: TEST_MASTER_KEYS,
    PARLEY_ROLLOUT_DIR: rolloutDir,
  }
  const closing = opened.move()
  return { redis, postgres, broker, variables, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}
