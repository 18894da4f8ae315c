import type { Reader } from './reader.ts'

/** For how long what everybody may have to answer for is kept; what belongs to a person has times of its own. */
export interface RetentionEnv {
  ledgerMs: number
  auditMs: number
}

const DAY_MS = 86_400_000
const SEVEN_YEARS = 2557
const THREE_YEARS = 1096

/** The databases let nothing go that is younger than the least of these. */
export function readRetention(read: Reader): RetentionEnv {
  return {
    ledgerMs: read.integer('PARLEY_LEDGER_DAYS', SEVEN_YEARS, 93, 36_500) * DAY_MS,
    auditMs: read.integer('PARLEY_AUDIT_DAYS', THREE_YEARS, 93, 36_500) * DAY_MS,
  }
}
