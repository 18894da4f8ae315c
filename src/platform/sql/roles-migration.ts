import type { Migration } from './sql.ts'

/**
 * The two roles that statements run under, and what later migrations say of their tables:
 *
 *     CREATE TABLE runs (tenant text NOT NULL, id text NOT NULL, …, PRIMARY KEY (tenant, id));
 *     SELECT parley_tenant_table('runs');
 *
 * From then on `parley_tenant` sees and writes rows of the current tenant only, `parley_system` all; a statement without a scope,
 * be it the owner's, none. The column is `tenant text`; index it first. A table without tenants is for the system alone:
 * `GRANT SELECT, INSERT, UPDATE, DELETE ON leases TO parley_system`. Keys that count are identity columns, which need no
 * grant on a sequence.
 *
 * A migration that reads or changes rows of such a table begins with `SET LOCAL ROLE parley_system`, which ends with it: the owner
 * would find none. Conditions on a tenant's table use an index only where their operator is leakproof, as comparisons of text,
 * integers and times are; LIKE, numeric and full-text search are not.
 *
 * Roles belong to the server, not to a database: another database may have made them, or be about to. A login role that may
 * not create roles finds them made by an administrator, and itself a member of both.
 */
export const rolesMigration: Migration = {
  name: '0001-roles',
  sql: `
DO $$
DECLARE
  role_name text;
  privilege text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['parley_tenant', 'parley_system'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', role_name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
      END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = role_name AND (rolsuper OR rolbypassrls)) THEN
      RAISE EXCEPTION 'the role % must not bypass row-level security', role_name;
    END IF;
    IF NOT pg_has_role(current_user, role_name, privilege) THEN
      EXECUTE format('GRANT %I TO %I', role_name, current_user);
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION parley_current_tenant() RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('parley.tenant', true), '');

CREATE FUNCTION parley_tenant_table(name regclass) RETURNS void
  LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', name);
  EXECUTE format('CREATE POLICY own_rows ON %s TO parley_tenant USING (tenant = parley_current_tenant())', name);
  -- The login role is a member of both, and would inherit a policy that says no more than true.
  EXECUTE format('CREATE POLICY all_rows ON %s TO parley_system USING (current_user = ''parley_system'')', name);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO parley_tenant, parley_system', name);
END $$;
`,
}
