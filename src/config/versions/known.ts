import type { LocatedFault } from '../fault.ts'
import type { VersionApproval, VersionRecord } from '../register.ts'

/** A sound version; its document is in memory while somebody uses it: see `Catalogue`. */
export interface Known {
  name: string
  /** SHA-256 of its bytes, hexadecimal. */
  hash: string
  description: string
  record: VersionRecord
  approval: VersionApproval | undefined
  /** The blob that it was read from. */
  file: string
  /** In bytes. */
  size: number
  /** This process has seen a blob of its name, or put it there: it was not taken away before. */
  isSeen: boolean
  /** This process has compared it with the register. */
  isEntered: boolean
}

/** One that was refused at a look. Of another reason, it is news. */
export interface Refusal {
  file: string
  reason: string
  faults: readonly LocatedFault[]
  /** Of its bytes, hexadecimal; empty where they were not read. */
  hash: string
  size: number
}

export function refusalOf(
  { name, size }: { name: string; size: number },
  reason: string,
  message: string,
  hash = '',
): Refusal {
  return { file: name, reason, faults: [{ path: '', line: 1, column: 1, message }], hash, size }
}

export function isGone({ reason }: Refusal): boolean {
  return reason === 'gone'
}
