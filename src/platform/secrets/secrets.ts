import type { Variables } from '#env/reader.ts'
import type { Log } from '#log.ts'

/** Where secrets are kept, each under the name of its variable. */
export interface SecretStore {
  readonly engine: 'environment' | 'key-vault'
  /**
   * The present value; undefined where there is none. Rejects with `secrets_unavailable` while the store is out of reach, with
   * `environment_invalid` where waiting does not help (forbidden, disabled, expired, not valid yet), and with the signal's reason.
   */
  read(variable: string, signal: AbortSignal): Promise<string | undefined>
}

/** Secrets as they are now. */
export interface Secrets {
  readonly engine: SecretStore['engine']
  /** The environment, with what it leaves out. Secrets are replaced in it when they are rotated: read them at each use. */
  readonly variables: Variables
  /** Whether the store answered when it was last asked. */
  readonly reachable: boolean
  /** A service has refused a secret, so there may be a new one: looked up at once, but not every minute twice. */
  doubt(): void
  /** Tells of each rotation; the result ends that. */
  onChange(listener: () => void): () => void
  /** Looks for rotations from time to time; the result ends that. */
  keepFresh(log: Log): () => Promise<void>
}
