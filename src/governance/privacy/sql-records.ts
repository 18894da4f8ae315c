import type { Migration, Sql } from '#platform/sql/sql.ts'
import type { RecordPlace, Records } from './records.ts'

export const recordsMigration: Migration = {
  name: '0034-person-records',
  sql: `
CREATE TABLE person_records (
  tenant text NOT NULL,
  person text NOT NULL,
  name text NOT NULL,
  body jsonb NOT NULL,
  version integer NOT NULL DEFAULT 1,
  due_at bigint,
  PRIMARY KEY (tenant, person, name)
);
CREATE INDEX person_records_due ON person_records (name, due_at) WHERE due_at IS NOT NULL;
SELECT parley_tenant_table('person_records');
`,
}

const AT_ONCE = 100

export function createSqlRecords(sql: Sql): Records {
  return {
    async read({ tenant, person, name }) {
      const [found] = await sql.query<{ body: unknown; version: number }>(
        { tenant },
        'SELECT body, version FROM person_records WHERE tenant = $1 AND person = $2 AND name = $3',
        [tenant, person, name],
      )
      return found
    },
    async write({ tenant, person, name }, body, ifVersion, due) {
      const values = [tenant, person, name, JSON.stringify(body), due ?? null]
      const written =
        ifVersion === 0
          ? await sql.query({ tenant }, insertRecord, values)
          : await sql.query({ tenant }, updateRecord, [...values, ifVersion])
      return written.length > 0
    },
    async remove({ tenant, person, name }) {
      const gone = await sql.query(
        { tenant },
        'DELETE FROM person_records WHERE tenant = $1 AND person = $2 AND name = $3 RETURNING name',
        [tenant, person, name],
      )
      return gone.length > 0
    },
    due: (name, now) => sql.query<RecordPlace & Record<string, string>>('system', readDue, [name, now, AT_ONCE]),
  }
}

const insertRecord = `
INSERT INTO person_records (tenant, person, name, body, due_at) VALUES ($1, $2, $3, $4::jsonb, $5)
ON CONFLICT DO NOTHING RETURNING name`

const updateRecord = `
UPDATE person_records SET body = $4::jsonb, due_at = $5, version = version + 1
WHERE tenant = $1 AND person = $2 AND name = $3 AND version = $6 RETURNING name`

const readDue = `
SELECT tenant, person, name FROM person_records WHERE name = $1 AND due_at <= $2 ORDER BY due_at LIMIT $3`
