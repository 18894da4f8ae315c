import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { VersionApproval, VersionRecord } from '../register.ts'

const Hash = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Person = Type.Object({ id: Type.String(), name: Type.String() })

const Recorded = Type.Object({
  version: Type.String(),
  hash: Hash,
  firstSeenAt: Type.Number(),
  uploadedBy: Type.Union([Person, Type.Null()]),
})

const Approved = Type.Object({ version: Type.String(), hash: Hash, by: Person, at: Type.Number() })

/** Undefined when it is none. */
export function parseRecord(value: unknown): VersionRecord | undefined {
  return Value.Check(Recorded, value) ? value : undefined
}

export function parseApproval(value: unknown): VersionApproval | undefined {
  return Value.Check(Approved, value) ? value : undefined
}
