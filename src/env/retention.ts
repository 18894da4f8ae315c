import type { Reader } from './reader.ts'

/** For how long what everybody may have to answer for is kept, and what was done for people; what they said has times of its own. */
export interface RetentionEnv {
  ledgerMs: number
  auditMs: number
  /** Of runs that have come to rest. */
  runMs: number
}

const DAY_MS = 86_400_000
const SEVEN_YEARS = 2557
const THREE_YEARS = 1096
const A_YEAR = 365

/** The databases let nothing of ledger and audit go that is younger than their least; runs are needed by turns and follow-ups for a day or two. */
export function readRetention(read: Reader): RetentionEnv {
  return {
    ledgerMs: read.integer('PARLEY_LEDGER_DAYS', SEVEN_YEARS, 93, 36_500) * DAY_MS,
    auditMs: read.integer('PARLEY_AUDIT_DAYS', THREE_YEARS, 93, 36_500) * DAY_MS,
    runMs: read.integer('PARLEY_RUN_DAYS', A_YEAR, 7, 36_500) * DAY_MS,
  }
}
