import path from 'node:path'
import type { Reader } from './reader.ts'

export type KvEnv =
  | { engine: 'sqlite'; path: string }
  | { engine: 'redis'; url: string; cluster: boolean; auth: 'url' | 'entra' }

/** `namespace` is a host, `name.servicebus.windows.net`; a connection string goes before it. */
export type QueueEnv =
  | { engine: 'sqlite'; path: string }
  | { engine: 'service-bus'; connectionString?: string | undefined; namespace?: string | undefined; queue: string }

/** `template`: a database of PGlite that is copied where there is none yet, since making one takes seconds; tests have one. */
export type SqlEnv =
  | { engine: 'pglite'; path: string; template?: string | undefined }
  | { engine: 'postgres'; url: string; auth: 'url' | 'entra'; poolSize: number }

/**
 * Where config versions and the state of their rollout are kept: two folders, or two containers of an account. `accountUrl`
 * with a SAS in its query, or without for `DefaultAzureCredential`; a connection string goes before it.
 */
export type BlobEnv =
  | { engine: 'folder'; versions: string; rollout: string }
  | {
      engine: 'azure'
      connectionString?: string | undefined
      accountUrl?: string | undefined
      versions: string
      rollout: string
    }

export function readKv(read: Reader, dataDir: string): KvEnv {
  const url = read.url('REDIS_URL', ['redis:', 'rediss:'])
  const cluster = read.oneOf('PARLEY_REDIS_CLUSTER', ['true', 'false'], 'false') === 'true'
  const auth = read.oneOf('PARLEY_REDIS_AUTH', ['url', 'entra'], 'url')
  return url === undefined
    ? { engine: 'sqlite', path: path.join(dataDir, 'state.db') }
    : {
        engine: 'redis',
        get url() {
          return read.text('REDIS_URL') ?? url
        },
        cluster,
        auth,
      }
}

export function readQueue(read: Reader, dataDir: string): QueueEnv {
  const connectionString = read.text('SERVICE_BUS_CONNECTION_STRING')
  const namespace = read.text('SERVICE_BUS_NAMESPACE')
  const queue = read.text('PARLEY_QUEUE') ?? 'parley-runs'
  return connectionString === undefined && namespace === undefined
    ? { engine: 'sqlite', path: path.join(dataDir, 'queue.db') }
    : {
        engine: 'service-bus',
        get connectionString() {
          return read.text('SERVICE_BUS_CONNECTION_STRING')
        },
        namespace,
        queue,
      }
}

export function readSql(read: Reader, dataDir: string): SqlEnv {
  const url = read.url('DATABASE_URL', ['postgres:', 'postgresql:'])
  const auth = read.oneOf('PARLEY_DATABASE_AUTH', ['url', 'entra'], 'url')
  const poolSize = read.integer('PARLEY_DATABASE_POOL', 10, 2, 1000)
  return url === undefined
    ? { engine: 'pglite', path: path.join(dataDir, 'sql') }
    : {
        engine: 'postgres',
        get url() {
          return read.text('DATABASE_URL') ?? url
        },
        auth,
        poolSize,
      }
}

export function readBlob(read: Reader, dataDir: string): BlobEnv {
  const connectionString = read.text('AZURE_STORAGE_CONNECTION_STRING')
  const accountUrl = read.url('AZURE_STORAGE_ACCOUNT_URL', ['http:', 'https:'])
  const versions = read.text('PARLEY_CONFIG_CONTAINER') ?? 'config-versions'
  const rollout = read.text('PARLEY_ROLLOUT_CONTAINER') ?? 'rollout'
  if (connectionString !== undefined || accountUrl !== undefined) {
    return {
      engine: 'azure',
      get connectionString() {
        return read.text('AZURE_STORAGE_CONNECTION_STRING')
      },
      accountUrl,
      versions,
      rollout,
    }
  }
  return {
    engine: 'folder',
    versions: path.resolve(read.text('PARLEY_CONFIG_DIR') ?? 'config-versions'),
    rollout: path.resolve(read.text('PARLEY_ROLLOUT_DIR') ?? path.join(dataDir, 'rollout')),
  }
}
