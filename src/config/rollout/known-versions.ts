import type { ConfigVersion } from '../document.ts'

/** What rollouts ask of config versions. */
export interface KnownVersions {
  /** A sound version by name, from memory or from this replica's disk. */
  get(name: string): ConfigVersion | undefined
  /** The newest sound version by the natural order of names. */
  newest(): ConfigVersion
  /** Newest first. */
  list(): readonly KnownVersion[]
  /** Hears of each newly known sound version; the result ends it. */
  onChange(listener: (version: ConfigVersion) => void): () => void
  /** Looks now. Never rejects. */
  refresh(): Promise<void>
}

export interface KnownVersion {
  name: string
  hash: string
  status: 'sound' | 'refused'
  uploadedBy: { id: string } | null
  approvedBy: { id: string } | null
}
