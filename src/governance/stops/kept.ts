import type { Migration, Sql } from '#platform/sql/sql.ts'

/** The tenant of the one row is nobody's: what is stopped holds for all of them. */
export const stopsMigration: Migration = {
  name: '0047-stops',
  sql: `
    CREATE TABLE stops (
      tenant text PRIMARY KEY,
      body text NOT NULL,
      version bigint NOT NULL,
      changed_at bigint NOT NULL
    );
    SELECT parley_tenant_table('stops');`,
}

/** Stops as the store had them: its bytes, and the version they had there. */
export interface Remembered {
  text: string
  version: number
}

/** What outlasts the store. Both reject with database_unavailable. */
export interface KeptStops {
  read(): Promise<Remembered | undefined>
  /** Unless something later is kept already; `changedAt`: ms since the epoch. */
  keep(stops: Remembered, changedAt: number): Promise<void>
}

export function createKeptStops(sql: Sql): KeptStops {
  return {
    async read() {
      const [row] = await sql.query<Remembered & Record<string, unknown>>(
        'system',
        'SELECT body AS text, version FROM stops WHERE tenant = $1',
        [NOBODYS],
      )
      return row && { text: row.text, version: row.version }
    },

    async keep({ text, version }, changedAt) {
      await sql.query('system', KEEP, [NOBODYS, text, version, changedAt])
    },
  }
}

const NOBODYS = '*'

/** $1 tenant, $2 stops, $3 their version in the store, $4 when they changed */
const KEEP = `
INSERT INTO stops (tenant, body, version, changed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant) DO UPDATE SET body = excluded.body, version = excluded.version, changed_at = excluded.changed_at
WHERE stops.changed_at <= excluded.changed_at`
