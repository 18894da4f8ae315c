import type { KvEnv } from '#env.ts'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import type { TokenSource } from '../credential.ts'
import { createKv } from './create-kv.ts'
import type { Kv } from './kv.ts'
import { RedisEngine } from './redis.ts'
import { SqliteEngine } from './sqlite.ts'

export interface OpenKvOptions {
  env: KvEnv
  clock: Clock
  log: Log
  /** For `auth: 'entra'`. */
  tokens: TokenSource
  /** Redis does not take the password. */
  onUnauthorized?: (() => void) | undefined
  /** How long opening waits for Redis, which may as well come later. */
  patienceMs?: number
  /** Ends that wait. */
  signal?: AbortSignal | undefined
}

/** The engine that the environment names: never another one because a connection fails. */
export async function openKv({
  env,
  clock,
  log,
  tokens,
  onUnauthorized,
  patienceMs = 10_000,
  signal,
}: OpenKvOptions): Promise<Kv> {
  if (env.engine === 'sqlite') return createKv(new SqliteEngine({ path: env.path, clock, log }))
  const { cluster, auth } = env
  const credential = auth === 'entra' ? tokens : undefined
  const redis = new RedisEngine({ url: () => env.url, cluster, credential, onUnauthorized, clock, log })
  await redis.connect(patienceMs, signal)
  return createKv(redis)
}
