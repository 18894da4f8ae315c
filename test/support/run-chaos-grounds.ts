import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Broker, startBroker } from './broker/broker.ts'
import { pgliteTemplate } from './pglite-template.ts'
import { sharedPostgres } from './postgres.ts'
import { startRedis } from './redis.ts'
import type { RunEngines } from './run-engines.ts'

export interface ChaosGround extends AsyncDisposable {
  engines: RunEngines
  drop(): void
}

export interface SharedGround extends ChaosGround {
  broker: Broker
}

/** A worker that was killed keeps its messages for so long. */
const LOCK_MS = 3000

/** PostgreSQL, Redis and the broker. */
export async function sharedChaos(): Promise<SharedGround> {
  await using opened = new AsyncDisposableStack()
  const redis = opened.use(await startRedis())
  const postgres = opened.use(await sharedPostgres())
  const broker = opened.use(await startBroker({ queues: ['parley-runs'], lockMs: LOCK_MS }))
  const url = await postgres.createDatabase()
  const closing = opened.move()
  return {
    engines: {
      kv: { engine: 'redis', url: redis.url, cluster: false, auth: 'url' },
      queue: { engine: 'service-bus', connectionString: broker.connectionString, queue: 'parley-runs' },
      sql: { engine: 'postgres', url, auth: 'url', poolSize: 10 },
    },
    broker,
    drop: () => broker.dropConnections(),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** A folder, for one process at a time. */
export async function embeddedChaos(): Promise<ChaosGround> {
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-runs-'))
  return {
    engines: {
      kv: { engine: 'sqlite', path: path.join(folder, 'state.db') },
      queue: { engine: 'sqlite', path: path.join(folder, 'queue.db') },
      sql: { engine: 'pglite', path: path.join(folder, 'sql'), template: pgliteTemplate() },
    },
    drop: () => {},
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}
