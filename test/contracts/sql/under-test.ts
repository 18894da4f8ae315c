import { randomUUID } from 'node:crypto'
import type { Migration, Scope, Sql } from '#platform/sql/sql.ts'

export interface Database extends AsyncDisposable {
  /** Any number of times, one after the other. */
  open(migrations: readonly Migration[]): Promise<Sql>
}

/** Declares one behaviour; all share a database, so each has tenants of its own. */
export type Check = (behaviour: string, body: (sql: Sql) => Promise<void>) => void

export function newTenant(): { tenant: string } {
  return { tenant: randomUUID() }
}

/** What the checks work on. */
export const tables: Migration = {
  name: '0100-tables-of-the-contract',
  sql: `
CREATE TABLE notes (
  tenant text NOT NULL,
  id text NOT NULL,
  body text NOT NULL DEFAULT '',
  stars int8 CONSTRAINT stars_are_few CHECK (stars <= 5),
  parent text,
  PRIMARY KEY (tenant, id),
  CONSTRAINT parent_exists FOREIGN KEY (tenant, parent) REFERENCES notes (tenant, id) DEFERRABLE
);
SELECT parley_tenant_table('notes');

CREATE TABLE leases (name text PRIMARY KEY, holder text NOT NULL);
GRANT SELECT, INSERT, UPDATE, DELETE ON leases TO parley_system;
`,
}

export async function idsOf(sql: Sql, scope: Scope, tenant: string): Promise<string[]> {
  const rows = await sql.query<{ id: string }>(scope, 'SELECT id FROM notes WHERE tenant = $1 ORDER BY id', [tenant])
  return rows.map(({ id }) => id)
}

export const insertNote = 'INSERT INTO notes (tenant, id) VALUES ($1, $2)'
