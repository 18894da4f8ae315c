import type { Migration } from '#platform/sql/sql.ts'

/**
 * Finished turns: the live state, which may be lost, has them too. `turn_keys` was given up for a home of all data keys (see
 * `../data-keys/migration.ts`).
 */
const turnsMigration: Migration = {
  name: '0005-turns',
  sql: `
CREATE TABLE turn_keys (
  tenant text NOT NULL,
  owner text NOT NULL,
  id text NOT NULL,
  wrapped bytea,
  master text,
  PRIMARY KEY (tenant, owner, id)
);
SELECT parley_tenant_table('turn_keys');

CREATE TABLE turns (
  tenant text NOT NULL,
  id text NOT NULL,
  owner text NOT NULL,
  conversation text,
  position bigint,
  fence bigint NOT NULL,
  status text NOT NULL,
  ended_at bigint NOT NULL,
  key text NOT NULL,
  input bytea NOT NULL,
  outcome bytea NOT NULL,
  messages bytea,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX turns_of_conversations ON turns (tenant, owner, conversation, position) WHERE conversation IS NOT NULL;
SELECT parley_tenant_table('turns');
`,
}

/** What is past its time is found by when it ended. */
const endedTurnsMigration: Migration = {
  name: '0014-ended-turns',
  sql: 'CREATE INDEX turns_by_end ON turns (ended_at);',
}

/** What it takes to have a conversation back that the live state has lost. */
const conversationTurnsMigration: Migration = {
  name: '0032-conversation-turns',
  sql: `
ALTER TABLE turns ADD COLUMN message_count integer, ADD COLUMN specialist text, ADD COLUMN config text, ADD COLUMN arm text,
  ADD COLUMN cohort text, ADD COLUMN started_at bigint, ADD COLUMN title bytea;`,
}

/** What their readers thought of them. */
const judgedTurnsMigration: Migration = {
  name: '0045-judged-turns',
  sql: 'ALTER TABLE turns ADD COLUMN feedback bytea;',
}

/** All of the archive's. */
export const archiveMigrations: readonly Migration[] = [
  turnsMigration,
  endedTurnsMigration,
  conversationTurnsMigration,
  judgedTurnsMigration,
]
