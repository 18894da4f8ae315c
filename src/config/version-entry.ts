import type { LocatedFault } from './fault.ts'

/** A version as operators see it. */
export interface VersionEntry {
  name: string
  /** SHA-256 of its bytes, hexadecimal; empty where they could not be read. */
  hash: string
  /** In bytes. */
  size: number
  description: string | null
  firstSeenAt: number
  uploadedBy: { id: string; name: string } | null
  approvedBy: { id: string; name: string } | null
  /** `refused`: not sound, or its blob is gone; one that is known goes on being served to whom it serves. */
  status: 'sound' | 'refused'
  faults: readonly LocatedFault[]
}

/** A blob that is not served, and why. */
export interface RefusedVersion {
  version: string
  file: string
  faults: readonly LocatedFault[]
}
