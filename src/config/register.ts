/**
 * What is remembered of a version for good, beside its bytes: written when it is first seen, as a blob of its own that is only ever
 * created. By it a name keeps its bytes, on every replica and after every restart.
 */
export interface VersionRecord {
  version: string
  /** SHA-256 of its bytes, hexadecimal. */
  hash: string
  /** ms since the epoch. */
  firstSeenAt: number
  /** Who pushed it; null where it was put there by other means. */
  uploadedBy: { id: string; name: string } | null
}

/** A second operator's word on a version that weakens what guards the first. */
export interface VersionApproval {
  version: string
  hash: string
  by: { id: string; name: string }
  at: number
}
