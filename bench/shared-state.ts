import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startPostgres } from '../test/support/postgres.ts'
import { command, startRedis } from '../test/support/redis.ts'

export interface BenchRedis extends AsyncDisposable {
  url: string
  /** Where its CPU time is read; undefined when it is not a process of this machine that we started. */
  pid: number | undefined
}

/** A real Redis, on the core of the harness as all that we start. */
export async function startBenchRedis(): Promise<BenchRedis> {
  const server = await startRedis()
  const info = server.own ? String(await command(server.url, 'INFO', 'server')) : ''
  const pid = Number(/process_id:(\d+)/.exec(info)?.[1])
  return { url: server.url, pid: pid || undefined, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

/** What replicas share: Redis, and PostgreSQL, which keeps their finished turns. */
export interface SharedState extends AsyncDisposable {
  redis: BenchRedis
  databaseUrl: string
  /** Where the state of rollouts is, for all replicas. */
  rolloutDir: string
}

export async function startSharedState(): Promise<SharedState> {
  await using opened = new AsyncDisposableStack()
  const redis = opened.use(await startBenchRedis())
  const postgres = opened.use(await startPostgres())
  const databaseUrl = await postgres.createDatabase()
  const rolloutDir = await mkdtemp(path.join(tmpdir(), 'parley-bench-rollout-'))
  opened.defer(() => rm(rolloutDir, { recursive: true, force: true }))
  const closing = opened.move()
  return { redis, databaseUrl, rolloutDir, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}
