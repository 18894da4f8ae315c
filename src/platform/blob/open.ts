import { mkdir } from 'node:fs/promises'
import type { BlobEnv } from '#env.ts'
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
  /** The account does not take the credential. */
  onUnauthorized?: (() => void) | undefined
}

export interface BlobStores {
  versions: BlobStore
  rollout: BlobStore
}

/** The engine that the environment names: never another one because it is out of reach, which it may be at first. */
export async function openBlobStores(options: OpenBlobStoresOptions): Promise<BlobStores> {
  const { env, clock, log } = options
  if (env.engine === 'azure') return openContainers(env, options)
  // That of versions is the operators' own: one that is missing is a mistake, and theirs to see.
  await mkdir(env.rollout, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    log.warn({ folder: env.rollout, err: error }, 'The folder of rollouts could not be made')
  })
  const open = (root: string) => new FolderBlobStore({ root, clock, log })
  return { versions: open(env.versions), rollout: open(env.rollout) }
}

async function openContainers(
  env: BlobEnv & { engine: 'azure' },
  { clock, log, tokens, onUnauthorized }: OpenBlobStoresOptions,
): Promise<BlobStores> {
  // Loading the package takes a few hundred ms, which a process without Azure should not pay.
  const { AzureBlobStore } = await import('./azure.ts')
  const account = {
    get connectionString() {
      return env.connectionString
    },
    accountUrl: env.accountUrl,
    tokens,
  }
  const open = (container: string) => new AzureBlobStore({ account, container, clock, log, onUnauthorized })
  const stores = { versions: open(env.versions), rollout: open(env.rollout) }
  await Promise.all([stores.versions.connect(), stores.rollout.connect()])
  return stores
}
