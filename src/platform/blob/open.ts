import { mkdir } from 'node:fs/promises'
import type { BlobEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import type { TokenSource } from '../credential.ts'
import type { BlobStore } from './blob.ts'
import { FolderBlobStore } from './folder.ts'

export interface OpenBlobStoresOptions {
  env: BlobEnv
  clock: Clock
  log: Log
  /** For an account URL without a SAS. */
  tokens: TokenSource
}

export interface BlobStores {
  versions: BlobStore
  rollout: BlobStore
}

/** The engine that the environment names: never another one because it is out of reach, which it may be at first. */
export async function openBlobStores({ env, clock, log }: OpenBlobStoresOptions): Promise<BlobStores> {
  if (env.engine === 'azure') {
    throw new ParleyError('environment_invalid', { message: 'Blob Storage is not served yet.' })
  }
  // That of versions is the operators' own: one that is missing is a mistake, and theirs to see.
  await mkdir(env.rollout, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    log.warn({ folder: env.rollout, err: error }, 'The folder of rollouts could not be made')
  })
  const open = (root: string) => new FolderBlobStore({ root, clock, log })
  return { versions: open(env.versions), rollout: open(env.rollout) }
}
