import type { Migration } from '#platform/sql/sql.ts'

/**
 * The home of wrapped data keys, of which the live state has copies. An owner has one present key, and those of before a loss
 * of the live state, which the archive still needs. A key that was destroyed keeps its id, without a word about whose it was, so
 * that no copy can bring it back.
 */
export const dataKeysMigration: Migration = {
  name: '0030-data-keys',
  sql: `
CREATE TABLE data_keys (
  tenant text NOT NULL,
  id text NOT NULL,
  owner text,
  wrapped bytea,
  master text,
  present boolean NOT NULL DEFAULT false,
  PRIMARY KEY (tenant, id),
  CONSTRAINT data_keys_are_whole_or_destroyed CHECK (
    CASE WHEN owner IS NULL THEN wrapped IS NULL AND master IS NULL AND NOT present
    ELSE wrapped IS NOT NULL AND master IS NOT NULL END)
);
CREATE INDEX data_keys_of_owners ON data_keys (tenant, owner);
CREATE UNIQUE INDEX data_keys_present ON data_keys (tenant, owner) WHERE present;
CREATE INDEX data_keys_by_master ON data_keys (master) WHERE master IS NOT NULL;
SELECT parley_tenant_table('data_keys');

SET LOCAL ROLE parley_system;
INSERT INTO data_keys (tenant, id, owner, wrapped, master)
SELECT tenant, id, CASE WHEN wrapped IS NOT NULL THEN owner END, wrapped, master FROM turn_keys WHERE id <> ''
ON CONFLICT DO NOTHING;
RESET ROLE;
DROP TABLE turn_keys;
`,
}
