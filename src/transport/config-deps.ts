import type { ConfigDiff } from '#config/diff.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { LocatedFault } from '#config/fault.ts'
import type { Loaded } from '#config/load.ts'
import type { Rollouts } from '#config/rollouts.ts'

/** What operators reach of config versions and of their rollout. */
export interface ServedConfig {
  versions: ServedVersions
  rollouts: Rollouts
  diff(from: ConfigVersion, to: ConfigVersion): ConfigDiff
  /** What Event Grid sends as its key; undefined: it is not listened to. */
  eventGridKey: string | undefined
}

interface Person {
  id: string
  name: string
}

export interface VersionEntry {
  name: string
  hash: string
  size: number
  description: string | null
  firstSeenAt: number
  uploadedBy: Person | null
  approvedBy: Person | null
  status: 'sound' | 'refused'
  faults: readonly LocatedFault[]
}

export interface ServedVersions {
  get(name: string): ConfigVersion | undefined
  list(): VersionEntry[]
  source(name: string): Promise<{ bytes: Buffer; format: 'yaml' | 'json' }>
  push(
    by: Person | null,
    name: string,
    bytes: Uint8Array,
    format: 'yaml' | 'json',
  ): Promise<{ entry: VersionEntry; created: boolean }>
  check(name: string, bytes: Uint8Array, format: 'yaml' | 'json'): Promise<Loaded>
  approve(by: Person, name: string): Promise<VersionEntry>
  refresh(): Promise<void>
}
