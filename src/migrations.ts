import { ticketsMigration } from '#actions/executors/builtin/service-desk/tickets-migration.ts'
import { runFiguresMigration } from '#actions/run-figures.ts'
import { runMigrations } from '#actions/runs/migrations.ts'
import { archiveMigrations } from '#conversations/archive/turns-migration.ts'
import { dataKeysMigration } from '#conversations/data-keys/migration.ts'
import { auditCutMigration } from '#governance/audit/cut-migration.ts'
import { auditMigration } from '#governance/audit/migration.ts'
import { budgetsMigration } from '#governance/budgets/migration.ts'
import { ledgerMigration } from '#governance/ledger/migration.ts'
import { ledgerPruneMigration } from '#governance/ledger/prune-migration.ts'
import { recordsMigration } from '#governance/privacy/sql-records.ts'
import { stopsMigration } from '#governance/stops/kept.ts'
import { keysMigration } from '#identity/keys/migration.ts'
import type { Migration } from '#platform/sql/sql.ts'

/** The tables of all modules. */
export const migrations: readonly Migration[] = [
  ...archiveMigrations,
  ...runMigrations,
  runFiguresMigration,
  ticketsMigration,
  dataKeysMigration,
  ledgerMigration,
  recordsMigration,
  budgetsMigration,
  auditMigration,
  ledgerPruneMigration,
  auditCutMigration,
  keysMigration,
  stopsMigration,
]
