import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { Ledger } from '../ledger.ts'
import { billOfCopy, billOfRelay, billOfTurn } from './bill.ts'
import { createKvLedger } from './kv-store.ts'
import { createSqlLedger } from './sql-store.ts'
import { Writing } from './writing.ts'

export interface OpenLedgerOptions {
  /** With `ledgerMigration`. */
  sql: Sql
  kv: Kv
  clock: Clock
  log: Log
  /** How long entries are kept. */
  keepMs: number
}

/** The ledger, where this process keeps what lasts: PGlite is not opened for it. */
export function openLedger({ sql, kv, clock, log, keepMs }: OpenLedgerOptions): Ledger {
  const store = sql.engine === 'postgres' ? createSqlLedger(sql) : createKvLedger({ kv, clock, keepMs })
  const writing = new Writing({ store, clock, log })
  return {
    ...store,
    async turnEnded(turn) {
      const bill = billOfTurn(turn)
      if (bill.entries.length > 0) await writing.keep(bill)
    },
    relayEnded(relay) {
      const bill = billOfRelay(relay)
      if (bill.entries.length > 0) writing.retain(bill)
    },
    copyEnded(copy) {
      const bill = billOfCopy(copy)
      if (bill.entries.length > 0) writing.retain(bill)
    },
    hurry: () => writing.hurry(),
    close: () => writing.close(),
  }
}
