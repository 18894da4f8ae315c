import type { Tx } from '#platform/sql/sql.ts'

/**
 * What was done that somebody may have to answer for. It is only added to; the entries of a tenant are chained by hashes, so that
 * one that was changed, moved or taken out is found. People are named by `partitionOf`, which tells them apart and names nobody;
 * there are no words of theirs in it. Made by `createAudit` (see `audit/create.ts`).
 */
export interface Audit {
  /**
   * Resolves once it is kept: what must not happen unseen waits for it, and is not done where it rejects. Rejects with
   * database_unavailable.
   */
  record(entry: AuditEntry): Promise<void>
  /**
   * Of what has happened already: kept as soon as the database takes it, and until then in memory. False when too much waits
   * there; then it is not kept.
   */
  note(entry: AuditEntry): boolean
  /** Part of a transaction under the entry's tenant or `system`: kept if that is committed. */
  within(tx: Tx, entry: AuditEntry): Promise<void>
  /** Newest first, below `before` (all when absent). Rejects with database_unavailable. */
  list(tenant: string, page: { before?: number; kind?: AuditKind; limit: number }): Promise<KeptEntry[]>
  /**
   * Takes what is older than that (ms since the epoch) out of the beginning of each chain, some at a time, and states in the chain
   * what it goes on from. Resolves with how many entries went. Rejects with database_unavailable.
   */
  prune(before: number): Promise<number>
  /** Reads the whole chain of a tenant. `seen` is an entry as it was once shown or logged. Rejects with database_unavailable. */
  verify(tenant: string, seen?: Link): Promise<AuditVerdict>
  /** Waits for what can be kept at once. */
  close(): Promise<void>
}

export const auditKinds = [
  'run.approved',
  'run.rejected',
  'run.repaired',
  'rollout.moved',
  'version.pushed',
  'version.approved',
  'budget.set',
  'budget.overridden',
  'kill-switch.set',
  'circuit.set',
  'usage.exported',
  'key.created',
  'key.rotated',
  'key.revoked',
  'data.exported',
  'data.erased',
  'consent.changed',
  'sessions.ended',
  'audit.cut',
  'sign-in.failed',
  'access.refused',
  'tenant.refused',
] as const
export type AuditKind = (typeof auditKinds)[number]

export interface AuditEntry {
  tenant: string
  kind: AuditKind
  /** `partitionOf` whoever did it; null for the process itself, and for who could not be told. */
  actor: string | null
  /** What it was done to: the id of a run, a version, `partitionOf` a person. */
  subject: string | null
  /** Codes, figures and ids; no words of people. */
  details?: Readonly<Record<string, string | number | boolean | null>>
  /** Told again under the same one, it is kept once; its own when absent. */
  id?: string
  /** ms since the epoch; now when absent. */
  at?: number
}

/** Where a chain stands: what is noted outside shows later that nothing before it has changed. */
export interface Link {
  seq: number
  /** SHA-256, hexadecimal. */
  hash: string
}

export interface KeptEntry extends Link, Required<AuditEntry> {}

export interface AuditVerdict {
  intact: boolean
  /** How many were read. */
  entries: number
  /** What the first of them goes on from, where what was before is past its time and was taken out. */
  from: Link | null
  /** The last entry; null when there is none. */
  head: Link | null
  /** The first place at which it does not hold. */
  broken: {
    seq: number
    because: 'missing' | 'changed' | 'cut-off' | 'added-past-head' | 'not-as-seen' | 'past-its-time'
  } | null
}
