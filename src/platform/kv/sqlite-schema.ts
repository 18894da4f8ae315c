import type { DatabaseSync } from 'node:sqlite'

/**
 * Every key has a row with its kind and expiry; what it holds hangs on the row's id, which is never given twice. Fields and
 * log entries get here late (see `SqliteItems`): until then the journal has them. Times are ms since the epoch.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS keys (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL, expires INTEGER);
  CREATE INDEX IF NOT EXISTS keys_by_expiry ON keys (expires) WHERE expires IS NOT NULL;
  CREATE TABLE IF NOT EXISTS fields (id INTEGER, name TEXT, value BLOB NOT NULL, PRIMARY KEY (id, name)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS chunks (id INTEGER, top INTEGER, entries BLOB NOT NULL, PRIMARY KEY (id, top)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS members (id INTEGER, member TEXT, score INTEGER NOT NULL, PRIMARY KEY (id, member)) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS members_by_score ON members (id, score, member);
  CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, changes BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS garbage (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL);
`

export const kinds = { record: 0, log: 1, index: 2 } as const
export type Kind = (typeof kinds)[keyof typeof kinds]

export type Statements = ReturnType<typeof prepareStatements>

export function createTables(database: DatabaseSync): void {
  // Checkpoints are made elsewhere. What is deleted is overwritten: it may be the key of somebody who wants to be forgotten.
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA secure_delete = ON;
    PRAGMA busy_timeout = 100;
    ${schema}`)
}

export function prepareStatements(database: DatabaseSync) {
  const sql = (text: string) => database.prepare(text)
  return {
    begin: sql('BEGIN'),
    commit: sql('COMMIT'),
    rollback: sql('ROLLBACK'),
    savepoint: sql('SAVEPOINT call'),
    rollbackToSavepoint: sql('ROLLBACK TO call'),
    release: sql('RELEASE call'),

    lastId: sql('SELECT max(id) AS id FROM (SELECT max(id) AS id FROM keys UNION SELECT max(id) FROM garbage)'),
    findKey: sql('SELECT id, kind, expires FROM keys WHERE key = ?'),
    hasKey: sql('SELECT 1 FROM keys WHERE id = ?'),
    addKey: sql('INSERT INTO keys (id, key, kind, expires) VALUES (?, ?, ?, ?)'),
    keysBetween: sql('SELECT key FROM keys WHERE key > ? AND key < ? ORDER BY key LIMIT ?'),
    dropKey: sql('DELETE FROM keys WHERE id = ?'),
    expireKey: sql('UPDATE keys SET expires = ? WHERE id = ?'),
    expiredKeys: sql('SELECT key FROM keys WHERE expires <= ? LIMIT ?'),

    fields: sql('SELECT name, value FROM fields WHERE id = ?'),
    setField: sql(
      'INSERT INTO fields (id, name, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    ),
    unsetField: sql('DELETE FROM fields WHERE id = ? AND name = ?'),
    dropFields: sql('DELETE FROM fields WHERE id = ?'),

    addChunk: sql('INSERT INTO chunks (id, top, entries) VALUES (?, ?, ?)'),
    top: sql('SELECT max(top) AS top FROM chunks WHERE id = ?'),
    chunks: sql('SELECT entries FROM chunks WHERE id = ? AND top > ? ORDER BY top'),

    addMember: sql(
      'INSERT INTO members (id, member, score) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET score = excluded.score',
    ),
    removeMember: sql('DELETE FROM members WHERE id = ? AND member = ?'),
    anyMember: sql('SELECT 1 FROM members WHERE id = ? LIMIT 1'),
    below: sql('SELECT member, score FROM members WHERE id = ? AND score <= ? ORDER BY score, member LIMIT ?'),
    highest: sql('SELECT member, score FROM members WHERE id = ? ORDER BY score DESC, member DESC LIMIT ?'),
    highestBelow: sql(
      'SELECT member, score FROM members WHERE id = ? AND score < ? ORDER BY score DESC, member DESC LIMIT ?',
    ),
    countMembers: sql('SELECT count(*) AS count FROM members WHERE id = ?'),

    addJournal: sql('INSERT INTO journal (seq, changes) VALUES (?, ?)'),
    journal: sql('SELECT changes FROM journal ORDER BY seq'),
    trimJournal: sql('DELETE FROM journal WHERE seq < ?'),

    addGarbage: sql('INSERT INTO garbage (id, kind) VALUES (?, ?)'),
    someGarbage: sql('SELECT id, kind FROM garbage LIMIT 1'),
    dropGarbage: sql('DELETE FROM garbage WHERE id = ?'),
    sweepChunks: sql('DELETE FROM chunks WHERE id = ?1 AND top IN (SELECT top FROM chunks WHERE id = ?1 LIMIT ?2)'),
    sweepMembers: sql(
      'DELETE FROM members WHERE id = ?1 AND member IN (SELECT member FROM members WHERE id = ?1 LIMIT ?2)',
    ),
  }
}
