import { ticketsMigration } from '#actions/executors/builtin/service-desk/tickets-migration.ts'
import { runFiguresMigration } from '#actions/run-figures.ts'
import { runMigrations } from '#actions/runs/migrations.ts'
import { endedTurnsMigration, turnsMigration } from '#conversations/archive/turns-migration.ts'
import { dataKeysMigration } from '#conversations/data-keys/migration.ts'
import { ledgerMigration } from '#governance/ledger/migration.ts'
import type { Migration } from '#platform/sql/sql.ts'

/** The tables of all modules. */
export const migrations: readonly Migration[] = [
  turnsMigration,
  endedTurnsMigration,
  ...runMigrations,
  runFiguresMigration,
  ticketsMigration,
  dataKeysMigration,
  ledgerMigration,
]
