import type { QueueEnv } from '#env.ts'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import type { TokenSource } from '../credential.ts'
import type { Secrets } from '../secrets/secrets.ts'
import type { Queue } from './queue.ts'
import { ServiceBusQueue } from './service-bus.ts'
import { SqliteQueue } from './sqlite.ts'

export interface OpenQueueOptions {
  env: QueueEnv
  clock: Clock
  log: Log
  /** For a namespace. */
  tokens: TokenSource
  /** Tells of a connection string that is replaced, and is told of one that is not taken. */
  secrets?: Pick<Secrets, 'onChange' | 'doubt'> | undefined
  /** How long opening waits for Service Bus, which may as well come later. */
  patienceMs?: number
  /** Ends that wait. */
  signal?: AbortSignal | undefined
}

/** The engine that the environment names: never another one because a connection fails. */
export async function openQueue({
  env,
  clock,
  log,
  tokens,
  secrets,
  patienceMs = 10_000,
  signal,
}: OpenQueueOptions): Promise<Queue> {
  if (env.engine === 'sqlite') return new SqliteQueue({ path: env.path, clock, log })
  const address = {
    get connectionString() {
      return env.connectionString
    },
    namespace: env.namespace,
    queue: env.queue,
    tokens,
  }
  const queue = new ServiceBusQueue({ address, clock, log, onUnauthorized: () => secrets?.doubt() })
  let used = env.connectionString
  secrets?.onChange(() => {
    if (env.connectionString === used) return
    used = env.connectionString
    void queue.renew()
  })
  await queue.connect(patienceMs, signal)
  return queue
}
