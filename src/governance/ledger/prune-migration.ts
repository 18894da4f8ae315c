import type { Migration } from '#platform/sql/sql.ts'

/** Entries may be taken out by the system, none of the last 60 days, whatever a process believes the time to be. */
export const ledgerPruneMigration: Migration = {
  name: '0043-ledger-retention',
  sql: `
GRANT DELETE ON ledger TO parley_system;

CREATE FUNCTION parley_check_ledger_prune() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM gone WHERE at > extract(epoch FROM now()) * 1000 - 60 * 86400000::bigint) THEN
    RAISE EXCEPTION 'the ledger keeps what is this young' USING ERRCODE = '42501';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER keeps_the_young AFTER DELETE ON ledger
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION parley_check_ledger_prune();
`,
}
