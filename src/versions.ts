import { hash } from 'node:crypto'
import path from 'node:path'
import { ConfigDocument } from '#config/document.ts'
import { ConfigLoader } from '#config/versions/loader.ts'
import { type ConfigVersions, openConfigVersions } from '#config/versions.ts'
import type { Log } from '#log.ts'
import type { BlobStores } from '#platform/blob/open.ts'
import type { Clock } from '#platform/clock.ts'
import manifest from '../package.json' with { type: 'json' }
import { type ConfigCheckEnv, configChecks } from './config-checks.ts'
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
  const checked: ConfigCheckEnv = { models: env.models, actions: env.actions, rollout: env.rollout, functions }
  const loader = new ConfigLoader({
    entry: new URL('./config-worker.ts', import.meta.url),
    checked,
    checksOf: configChecks,
    clock,
    log,
  })
  const cacheDir = path.join(env.dataDir, 'versions')
  const place = env.blob.versions
  try {
    const { load } = loader
    const checkedBy = nameOf(checked)
    const versions = await openConfigVersions({ blobs, place, cacheDir, checkedBy, load, clock, log, signal })
    loader.toThread()
    // A look that is under way is not waited for.
    return { ...versions, close: () => Promise.all([versions.close(), loader.close()]).then(() => {}) }
  } catch (error) {
    await loader.close()
    throw error
  }
}

/** What versions are checked by: this release, its shape of a version, and the environment. Of secrets it says whether they are set. */
function nameOf(checked: ConfigCheckEnv): string {
  const open = (name: string, value: unknown) => (/key|secret|token/i.test(name) ? value !== undefined : value)
  return hash('sha256', JSON.stringify([manifest.version, ConfigDocument, checked], open))
}
