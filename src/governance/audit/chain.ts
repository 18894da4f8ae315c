import { hash } from 'node:crypto'
import type { AuditEntry, Link } from '../audit.ts'

/** An entry as it is written, its details as the text that the hash is over. */
export interface Written extends Required<Omit<AuditEntry, 'details'>> {
  details: string
}

/** Before the first entry. */
export const beginning: Link = { seq: 0, hash: '' }

/** SHA-256 over the hash before and the entry in its canonical form: a JSON array of its fields in this order. */
export function chained(before: Link, { tenant, id, at, kind, actor, subject, details }: Written): Link {
  const seq = before.seq + 1
  const canonical = JSON.stringify([seq, tenant, id, at, kind, actor, subject, details])
  return { seq, hash: hash('sha256', `${before.hash}\n${canonical}`, 'hex') }
}

/** The same details are the same text, in whatever order they were given. */
export function detailsText(details: AuditEntry['details'] = {}): string {
  return JSON.stringify(Object.fromEntries(Object.entries(details).sort(([a], [b]) => (a < b ? -1 : 1))))
}
