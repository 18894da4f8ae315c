import type { DatabaseSync } from 'node:sqlite'
import { maxDeliveries } from './sqlite-limits.ts'

export type Statements = ReturnType<typeof prepareStatements>

/**
 * `messages.visible`: when the message can be taken next, ms since the epoch. For one under lock that is the end of the lock,
 * for a scheduled one the time that it waits for. Seq and count together name one delivery: a lock token.
 * `recent`: the ids of the duplicate window, in the order in which they leave it.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, body TEXT NOT NULL, traceparent TEXT,
    enqueued INTEGER NOT NULL, visible INTEGER NOT NULL, count INTEGER NOT NULL DEFAULT 0, locked INTEGER NOT NULL DEFAULT 0);
  CREATE INDEX IF NOT EXISTS messages_by_visible ON messages (visible, seq);
  CREATE INDEX IF NOT EXISTS messages_exhausted ON messages (visible) WHERE count >= ${maxDeliveries};
  CREATE TABLE IF NOT EXISTS dead (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, body TEXT NOT NULL, traceparent TEXT, enqueued INTEGER NOT NULL,
    count INTEGER NOT NULL, reason TEXT NOT NULL, description TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS dead_by_id ON dead (id);
  CREATE TABLE IF NOT EXISTS recent (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, until INTEGER NOT NULL);
`

export function createTables(database: DatabaseSync): void {
  // What the power takes with it is sent again from the rows that it woke for, so a commit need not wait for the disk.
  // Checkpoints are made elsewhere.
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA busy_timeout = 100;
    ${schema}`)
}

export function prepareStatements(database: DatabaseSync) {
  const sql = (text: string) => database.prepare(text)
  const held = 'WHERE seq = ? AND count = ? AND locked = 1 AND visible > ?'
  return {
    begin: sql('BEGIN IMMEDIATE'),
    commit: sql('COMMIT'),
    rollback: sql('ROLLBACK'),

    releaseAll: sql('UPDATE messages SET locked = 0, visible = 0 WHERE locked = 1'),
    seen: sql('SELECT n, until FROM recent WHERE id = ?'),
    forgetOne: sql('DELETE FROM recent WHERE n = ?'),
    remember: sql('INSERT INTO recent (id, until) VALUES (?, ?)'),
    oldest: sql('SELECT n, until FROM recent ORDER BY n LIMIT ?'),
    forgetUpTo: sql('DELETE FROM recent WHERE n <= ?'),

    add: sql('INSERT INTO messages (id, body, traceparent, enqueued, visible) VALUES (?, ?, ?, ?, ?)'),
    cancel: sql('DELETE FROM messages WHERE seq = ? AND count = 0 AND visible > ?'),

    ready: sql(
      'SELECT seq, id, body, traceparent, count FROM messages WHERE visible <= ? ORDER BY visible, seq LIMIT ?',
    ),
    lock: sql('UPDATE messages SET locked = 1, count = count + 1, visible = ? WHERE seq = ?'),
    nextVisible: sql('SELECT min(visible) AS visible FROM messages WHERE visible > ?'),

    complete: sql(`DELETE FROM messages ${held}`),
    abandon: sql(`UPDATE messages SET locked = 0, visible = ? ${held}`),
    renew: sql(`UPDATE messages SET visible = ? ${held}`),
    bury: sql(
      `INSERT INTO dead (seq, id, body, traceparent, enqueued, count, reason, description)
       SELECT seq, id, body, traceparent, enqueued, count, ?, ? FROM messages ${held}`,
    ),
    drop: sql('DELETE FROM messages WHERE seq = ?'),
    buryExhausted: sql(
      `INSERT INTO dead (seq, id, body, traceparent, enqueued, count, reason, description)
       SELECT seq, id, body, traceparent, enqueued, count, ?, ?
       FROM messages WHERE count >= ${maxDeliveries} AND visible <= ?`,
    ),
    dropExhausted: sql(`DELETE FROM messages WHERE count >= ${maxDeliveries} AND visible <= ?`),

    dead: sql(
      'SELECT id, body, traceparent, enqueued, count, reason, description FROM dead ORDER BY seq LIMIT ? OFFSET ?',
    ),
    removeDead: sql('DELETE FROM dead WHERE id = ?'),
  }
}
