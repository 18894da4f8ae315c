import type { Migration } from '#platform/sql/sql.ts'

/**
 * Tickets of the built-in service desk, numbered from 1 within a tenant. `key` is that of the run that opened it. A ticket
 * belongs to its tenant, as in any service desk: its title is not sealed, whoever may list tickets reads it, and it is not
 * erased with a person.
 */
export const ticketsMigration: Migration = {
  name: '0020-tickets',
  sql: `
    CREATE TABLE tickets (
      tenant text NOT NULL,
      number integer NOT NULL,
      key text NOT NULL,
      title text NOT NULL,
      priority text NOT NULL CHECK (priority IN ('low', 'high')),
      opened_at bigint NOT NULL,
      closed_at bigint,
      PRIMARY KEY (tenant, number),
      UNIQUE (tenant, key)
    );
    SELECT parley_tenant_table('tickets');`,
}
