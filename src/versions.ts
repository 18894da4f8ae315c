import path from 'node:path'
import { ConfigLoader } from '#config/versions/loader.ts'
import { type ConfigVersions, openConfigVersions } from '#config/versions.ts'
import type { Log } from '#log.ts'
import type { BlobStores } from '#platform/blob/open.ts'
import type { Clock } from '#platform/clock.ts'
import { configChecks } from './config-checks.ts'
import type { Env } from './env.ts'

export interface VersionsOptions {
  env: Pick<Env, 'models' | 'actions' | 'rollout' | 'blob' | 'dataDir'>
  blobs: BlobStores
  /** Names of the functions that a version may call. */
  functions: readonly string[]
  clock: Clock
  log: Log
  /** Ends the wait for versions that are out of reach. */
  signal: AbortSignal | undefined
}

/** The config versions, checked by what every room asks of its part: the first in this thread, all later ones in another. */
export async function openVersions({
  env,
  blobs,
  functions,
  clock,
  log,
  signal,
}: VersionsOptions): Promise<ConfigVersions> {
  const loader = new ConfigLoader({
    entry: new URL('./config-worker.ts', import.meta.url),
    checked: { models: env.models, actions: env.actions, rollout: env.rollout, functions },
    checksOf: configChecks,
    clock,
    log,
  })
  const cacheDir = path.join(env.dataDir, 'versions')
  const place = env.blob.versions
  try {
    const versions = await openConfigVersions({ blobs, place, cacheDir, load: loader.load, clock, log, signal })
    loader.toThread()
    // A look that is under way is not waited for.
    return { ...versions, close: () => Promise.all([versions.close(), loader.close()]).then(() => {}) }
  } catch (error) {
    await loader.close()
    throw error
  }
}
