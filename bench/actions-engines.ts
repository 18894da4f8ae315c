import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startPostgres } from '../test/support/postgres.ts'
import type { RunEngines } from '../test/support/run-engines.ts'
import type { BrokerReport } from './broker.ts'
import { startServer } from './children.ts'
import { startBenchRedis } from './shared-state.ts'

/** What runs stand on, all of it but PGlite and SQLite on the core of the harness. */
export interface BenchEngines extends AsyncDisposable {
  engines: RunEngines
  /** Asked of the broker so far; undefined where there is none. */
  operations(): Promise<BrokerReport['operations'] | undefined>
}

export async function openEmbedded(): Promise<BenchEngines> {
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-bench-'))
  return {
    engines: {
      kv: { engine: 'sqlite', path: path.join(folder, 'state.db') },
      queue: { engine: 'sqlite', path: path.join(folder, 'queue.db') },
      sql: { engine: 'pglite', path: path.join(folder, 'sql') },
    },
    operations: async () => undefined,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

export async function openShared(): Promise<BenchEngines> {
  await using opened = new AsyncDisposableStack()
  const redis = opened.use(await startBenchRedis())
  const postgres = opened.use(await startPostgres())
  const broker = opened.use(await startServer([import.meta.resolve('./broker.ts')]))
  const report = async () => (await (await fetch(broker.url)).json()) as BrokerReport
  const { connectionString } = await report()
  const url = await postgres.createDatabase()
  const closing = opened.move()
  return {
    engines: {
      kv: { engine: 'redis', url: redis.url, cluster: false, auth: 'url' },
      queue: { engine: 'service-bus', connectionString, queue: 'parley-runs' },
      sql: { engine: 'postgres', url, auth: 'url', poolSize: 10 },
    },
    operations: async () => (await report()).operations,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}
