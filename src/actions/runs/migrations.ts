import type { Migration } from '#platform/sql/sql.ts'

/**
 * Runs, their attempts, and what is to be reported late. Times are ms since the epoch, by the clock of the replicas; sealed
 * columns hold AES-256-GCM under the data key of the run's owner, so that destroying that key erases what was said and done.
 */
export const runMigrations: readonly Migration[] = [
  {
    name: '0010-runs',
    sql: `
      CREATE TABLE runs (
        id text PRIMARY KEY,
        seq bigint GENERATED ALWAYS AS IDENTITY,
        tenant text NOT NULL,
        owner text NOT NULL,
        key text NOT NULL,
        arguments_hash text NOT NULL,
        asked_hash text NOT NULL,
        action text NOT NULL,
        config text NOT NULL,
        specialist text,
        conversation text,
        turn text,
        status text NOT NULL,
        version integer NOT NULL DEFAULT 1,
        revision integer NOT NULL DEFAULT 1,
        ordered boolean NOT NULL,
        waiting boolean NOT NULL,
        once boolean NOT NULL,
        attempt integer NOT NULL DEFAULT 0,
        max_attempts integer NOT NULL,
        fence integer NOT NULL DEFAULT 0,
        began boolean NOT NULL DEFAULT false,
        due_at bigint,
        input bytea NOT NULL,
        outcome bytea,
        preview bytea,
        reason text,
        approval jsonb,
        follow_up boolean NOT NULL DEFAULT false,
        traceparent text,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL,
        settled_at bigint,
        UNIQUE (tenant, owner, key)
      );
      CREATE INDEX runs_due ON runs (due_at) WHERE due_at IS NOT NULL;
      CREATE INDEX runs_turn ON runs (turn) WHERE settled_at IS NULL;
      CREATE INDEX runs_order ON runs (conversation, seq)
        WHERE ordered AND (settled_at IS NULL OR status IN ('unknown', 'dead-lettered'));
      CREATE INDEX runs_owner ON runs (tenant, owner, id);
      CREATE INDEX runs_status ON runs (tenant, status, id);

      CREATE TABLE attempts (
        run text NOT NULL REFERENCES runs ON DELETE CASCADE,
        number integer NOT NULL,
        tenant text NOT NULL,
        worker text NOT NULL,
        started_at bigint NOT NULL,
        ended_at bigint,
        outcome text,
        reason text,
        PRIMARY KEY (run, number)
      );

      CREATE TABLE follow_ups (
        run text NOT NULL REFERENCES runs ON DELETE CASCADE,
        version integer NOT NULL,
        tenant text NOT NULL,
        turn text NOT NULL,
        batch text,
        lease_until bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (run, version)
      );
      CREATE INDEX follow_ups_open ON follow_ups (lease_until);
      CREATE INDEX follow_ups_batch ON follow_ups (batch);

      SELECT parley_tenant_table('runs'), parley_tenant_table('attempts'), parley_tenant_table('follow_ups');`,
  },
  {
    // Of a run there is one undoing, whoever asked for it; one that was never done makes room for another.
    name: '0012-undone-runs',
    sql: `
      ALTER TABLE runs ADD COLUMN undoes text;
      CREATE INDEX runs_undoes ON runs (undoes) WHERE undoes IS NOT NULL;
      CREATE UNIQUE INDEX runs_undone_once ON runs (undoes)
        WHERE undoes IS NOT NULL AND status NOT IN ('rejected', 'cancelled', 'expired');`,
  },
  {
    // The version of the row that was sent for once more, in case it was not at first.
    name: '0013-unsent-runs',
    sql: 'ALTER TABLE runs ADD COLUMN sent_again integer;',
  },
  {
    // What a run's outcome says of the version that served it. Of what was asked for before, nothing is counted.
    name: '0014-served-runs',
    sql: `
      ALTER TABLE runs ADD COLUMN arm text NOT NULL DEFAULT 'stable', ADD COLUMN cohort text NOT NULL DEFAULT '',
        ADD COLUMN unit text;`,
  },
  {
    // Since when a run waits for its user, tries in between included: what its patience and its tries are counted from.
    name: '0041-awaited-users',
    sql: `
      ALTER TABLE runs ADD COLUMN user_missing_since bigint;
      CREATE INDEX runs_awaiting_user ON runs (tenant, owner) WHERE status = 'awaiting-identity';`,
  },
  {
    // Since when what a run needs is out of reach, for no fault of its own: what its patience with that is counted from.
    name: '0046-held-runs',
    sql: 'ALTER TABLE runs ADD COLUMN held_since bigint;',
  },
]
