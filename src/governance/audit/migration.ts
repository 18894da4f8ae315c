import type { Migration } from '#platform/sql/sql.ts'

/**
 * Entries in a chain for each tenant, and where each chain stands. Nobody changes an entry or takes one out: neither role may, and
 * the owner of the tables is stopped by a trigger that would have to be taken away first. Whoever adds holds the head's row.
 */
export const auditMigration: Migration = {
  name: '0032-audit',
  sql: `
CREATE TABLE audit (
  tenant text NOT NULL,
  seq bigint NOT NULL,
  id text NOT NULL,
  at bigint NOT NULL,
  kind text NOT NULL,
  actor text,
  subject text,
  details text NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (tenant, seq),
  UNIQUE (tenant, id)
);
CREATE TABLE audit_heads (
  tenant text PRIMARY KEY,
  seq bigint NOT NULL,
  hash text NOT NULL
);
SELECT parley_tenant_table('audit'), parley_tenant_table('audit_heads');
REVOKE UPDATE, DELETE ON audit FROM parley_tenant, parley_system;
REVOKE DELETE ON audit_heads FROM parley_tenant, parley_system;

CREATE FUNCTION parley_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = '42501';
END $$;
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse_change();
`,
}
