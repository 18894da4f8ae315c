import type { Migration } from '#platform/sql/sql.ts'

/**
 * The beginning of a chain may be cut off: of a tenant, by itself, nothing of the last 60 days, all up to an entry whose hash a
 * later entry states, so that the chain says what it goes on from. Everything else is refused, to the owner of the tables too.
 */
export const auditCutMigration: Migration = {
  name: '0044-audit-cuts',
  sql: `
CREATE INDEX audit_cuts ON audit (tenant, seq) WHERE kind = 'audit.cut';
GRANT DELETE ON audit TO parley_tenant;

CREATE FUNCTION parley_check_audit_cut() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  whose text;
  last bigint;
  link text;
BEGIN
  IF TG_WHEN = 'BEFORE' THEN
    IF current_user <> 'parley_tenant' THEN
      RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = '42501';
    END IF;
    RETURN NULL;
  END IF;
  SELECT tenant, seq, hash INTO whose, last, link FROM gone ORDER BY seq DESC LIMIT 1;
  IF whose IS NULL THEN
    RETURN NULL;
  END IF;
  IF EXISTS (SELECT FROM gone WHERE at > extract(epoch FROM now()) * 1000 - 60 * 86400000::bigint) THEN
    RAISE EXCEPTION 'the audit log keeps what is this young' USING ERRCODE = '42501';
  END IF;
  IF EXISTS (SELECT FROM audit WHERE tenant = whose AND seq < last) OR NOT EXISTS (
    SELECT FROM audit WHERE tenant = whose AND seq > last AND kind = 'audit.cut'
      AND details = '{"hash":"' || link || '","seq":' || last || '}'
  ) THEN
    RAISE EXCEPTION 'the audit log is cut up to what a later entry states' USING ERRCODE = '42501';
  END IF;
  RETURN NULL;
END $$;

DROP TRIGGER only_added_to ON audit;
CREATE TRIGGER only_added_to BEFORE UPDATE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION parley_refuse_change();
CREATE TRIGGER only_by_a_tenant BEFORE DELETE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION parley_check_audit_cut();
CREATE TRIGGER only_as_stated AFTER DELETE ON audit
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION parley_check_audit_cut();
`,
}
