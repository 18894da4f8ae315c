import type { Migration } from '#platform/sql/sql.ts'

/**
 * A row for each call of a model. Figures are only added to; whose they were can be forgotten. Costs are decimals, as receipts
 * show them, so that any sum of them is exact.
 */
export const ledgerMigration: Migration = {
  name: '0031-ledger',
  sql: `
CREATE TABLE ledger (
  tenant text NOT NULL,
  turn text NOT NULL,
  segment integer NOT NULL,
  at bigint NOT NULL,
  person text NOT NULL,
  groups text[] NOT NULL,
  specialist text NOT NULL,
  config text NOT NULL,
  arm text NOT NULL,
  model text NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  cost_usd numeric NOT NULL,
  outcome text NOT NULL,
  estimated boolean NOT NULL,
  PRIMARY KEY (tenant, turn, segment)
);
CREATE INDEX ledger_by_time ON ledger (tenant, at, turn, segment);
CREATE INDEX ledger_of_people ON ledger (tenant, person, at);
SELECT parley_tenant_table('ledger');
REVOKE UPDATE, DELETE ON ledger FROM parley_tenant, parley_system;
GRANT UPDATE (person) ON ledger TO parley_tenant;
`,
}
