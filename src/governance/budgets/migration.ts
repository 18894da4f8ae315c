import type { Migration } from '#platform/sql/sql.ts'

/** Amounts are millionths of a USD, times ms since the epoch. */
export const budgetsMigration: Migration = {
  name: '0040-budgets',
  sql: `
    CREATE TABLE budgets (
      tenant text NOT NULL,
      scope text NOT NULL,
      limit_micro bigint NOT NULL,
      period text NOT NULL,
      version integer NOT NULL DEFAULT 1,
      override_micro bigint,
      override_until bigint,
      override_reason text,
      PRIMARY KEY (tenant, scope)
    );
    SELECT parley_tenant_table('budgets');`,
}
