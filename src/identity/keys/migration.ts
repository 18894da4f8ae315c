import type { Migration } from '#platform/sql/sql.ts'

/**
 * Parley keys. Of a secret only its SHA-256 is kept; `old_hash` is the one before the last rotation, good until `old_until`.
 * `request` names the request that made the key and `asked` what it asked for, so that it makes one key. Times are ms since the
 * epoch. The owner is null once erased.
 */
export const keysMigration: Migration = {
  name: '0042-keys',
  sql: `
    CREATE TABLE parley_keys (
      tenant text NOT NULL,
      id text PRIMARY KEY,
      owner text,
      name text NOT NULL,
      groups text[] NOT NULL,
      groups_among text[],
      chat text[] NOT NULL,
      actions text[] NOT NULL,
      budget_usd double precision,
      budget_period text,
      hash bytea NOT NULL,
      old_hash bytea,
      old_until bigint,
      created_at bigint NOT NULL,
      expires_at bigint NOT NULL,
      rotated_at bigint,
      revoked_at bigint,
      used_at bigint,
      request text,
      asked text,
      version integer NOT NULL DEFAULT 1,
      CONSTRAINT keys_have_a_whole_budget CHECK ((budget_usd IS NULL) = (budget_period IS NULL)),
      CONSTRAINT keys_have_an_end_of_the_old CHECK ((old_hash IS NULL) = (old_until IS NULL))
    );
    CREATE INDEX keys_of_owners ON parley_keys (tenant, owner, id);
    CREATE UNIQUE INDEX keys_of_requests ON parley_keys (tenant, owner, request) WHERE request IS NOT NULL;
    SELECT parley_tenant_table('parley_keys');`,
}
