import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { checkPayload, checkPosition } from './create-kv.ts'
import type { Arg, Key, LogEntry, Step } from './kv.ts'

/** Every key has one row with its kind and expiry; what it holds hangs on the row's id. Times are ms since the epoch. */
export const schema = `
  CREATE TABLE IF NOT EXISTS keys (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL, expires INTEGER);
  CREATE INDEX IF NOT EXISTS keys_by_expiry ON keys (expires) WHERE expires IS NOT NULL;
  CREATE TABLE IF NOT EXISTS fields (id INTEGER, name TEXT, value BLOB NOT NULL, PRIMARY KEY (id, name)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS entries (id INTEGER, position INTEGER, body BLOB NOT NULL, PRIMARY KEY (id, position)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS members (id INTEGER, member TEXT, score INTEGER NOT NULL, PRIMARY KEY (id, member)) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS members_by_score ON members (id, score, member);
`

const kinds = { record: 0, log: 1, index: 2 } as const
type Kind = (typeof kinds)[keyof typeof kinds]
const tables = ['fields', 'entries', 'members'] as const

interface Row {
  id: number
  kind: Kind
  expires: number | null
}

export class SqliteStep implements Step {
  now = 0
  signals: { key: Key; payload: string }[] = []
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database)
  }

  exists(key: Key): boolean {
    return this.#find(key) !== undefined
  }

  delete(key: Key): boolean {
    const row = this.#find(key)
    if (row) this.#drop(row)
    return row !== undefined
  }

  expire(key: Key, ttlMs: number): void {
    if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) throw new RangeError('A time to live is a whole number from 1')
    const row = this.#find(key)
    if (row) this.#statements.expire.run(this.now + ttlMs, row.id)
  }

  persist(key: Key): void {
    const row = this.#find(key)
    if (row) this.#statements.expire.run(null, row.id)
  }

  get(key: Key, field: string): Buffer | undefined {
    const row = this.#find(key, kinds.record)
    const found = row && this.#statements.getField.get(row.id, field)
    return found && toBuffer(found.value)
  }

  set(key: Key, fields: Readonly<Record<string, Arg>>): void {
    const { id } = this.#findOrMake(key, kinds.record)
    for (const [name, value] of Object.entries(fields)) this.#statements.setField.run(id, name, toBytes(value))
  }

  unset(key: Key, field: string): void {
    const row = this.#find(key, kinds.record)
    if (!row || this.#statements.unsetField.run(row.id, field).changes === 0) return
    if (!this.#statements.anyField.get(row.id)) this.#drop(row)
  }

  increment(key: Key, field: string, by: number): number {
    const next = Number(this.get(key, field) ?? 0) + by
    if (!Number.isSafeInteger(next)) throw new RangeError('Only whole numbers can be counted')
    this.set(key, { [field]: next })
    return next
  }

  append(key: Key, position: number, body: Uint8Array): boolean {
    checkPosition(position)
    if (position <= this.top(key)) return false
    this.#statements.append.run(this.#findOrMake(key, kinds.log).id, position, body)
    return true
  }

  top(key: Key): number {
    const row = this.#find(key, kinds.log)
    return row ? Number(this.#statements.top.get(row.id)?.top ?? -1) : -1
  }

  read(key: Key, after: number, limit: number): LogEntry[] {
    const row = this.#find(key, kinds.log)
    if (!row) return []
    return this.#statements.read
      .all(row.id, after, limit)
      .map(({ position, body }) => ({ position: Number(position), body: toBuffer(body) }))
  }

  add(key: Key, member: string, score: number): void {
    if (!Number.isSafeInteger(score)) throw new RangeError('A score is a whole number')
    this.#statements.add.run(this.#findOrMake(key, kinds.index).id, member, score)
  }

  remove(key: Key, member: string): boolean {
    const row = this.#find(key, kinds.index)
    if (!row || this.#statements.remove.run(row.id, member).changes === 0) return false
    if (!this.#statements.anyMember.get(row.id)) this.#drop(row)
    return true
  }

  below(key: Key, maxScore: number, limit: number): { member: string; score: number }[] {
    const row = this.#find(key, kinds.index)
    return row ? this.#statements.below.all(row.id, maxScore, limit).map(toMember) : []
  }

  highest(key: Key, below: number | undefined, limit: number): { member: string; score: number }[] {
    const row = this.#find(key, kinds.index)
    if (!row) return []
    const found =
      below === undefined
        ? this.#statements.highest.all(row.id, limit)
        : this.#statements.highestBelow.all(row.id, below, limit)
    return found.map(toMember)
  }

  count(key: Key): number {
    const row = this.#find(key, kinds.index)
    return row ? Number(this.#statements.count.get(row.id)?.count) : 0
  }

  signal(key: Key, payload: string): void {
    checkPayload(payload)
    this.signals.push({ key, payload })
  }

  /** The live row; one that has expired is dropped on sight. */
  #find(key: Key, kind?: Kind): Row | undefined {
    const found = this.#statements.find.get(key)
    if (!found) return undefined
    const row = found as unknown as Row
    if (row.expires !== null && row.expires <= this.now) {
      this.#drop(row)
      return undefined
    }
    if (kind !== undefined && row.kind !== kind) throw new TypeError('This key holds another kind of value')
    return row
  }

  #findOrMake(key: Key, kind: Kind): Row {
    const row = this.#find(key, kind)
    if (row) return row
    return { id: Number(this.#statements.make.run(key, kind).lastInsertRowid), kind, expires: null }
  }

  #drop(row: Row): void {
    this.#statements.drop.run(row.id)
    this.#statements.clear[row.kind].run(row.id)
  }
}

function prepare(database: DatabaseSync) {
  const sql = (text: string): StatementSync => database.prepare(text)
  const [clearFields, clearEntries, clearMembers] = tables.map((table) => sql(`DELETE FROM ${table} WHERE id = ?`))
  if (!clearFields || !clearEntries || !clearMembers) throw new RangeError('A kind without a table')
  return {
    find: sql('SELECT id, kind, expires FROM keys WHERE key = ?'),
    make: sql('INSERT INTO keys (key, kind) VALUES (?, ?)'),
    drop: sql('DELETE FROM keys WHERE id = ?'),
    clear: [clearFields, clearEntries, clearMembers] as const,
    expire: sql('UPDATE keys SET expires = ? WHERE id = ?'),
    getField: sql('SELECT value FROM fields WHERE id = ? AND name = ?'),
    setField: sql(
      'INSERT INTO fields (id, name, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    ),
    unsetField: sql('DELETE FROM fields WHERE id = ? AND name = ?'),
    anyField: sql('SELECT 1 FROM fields WHERE id = ? LIMIT 1'),
    append: sql('INSERT INTO entries (id, position, body) VALUES (?, ?, ?)'),
    top: sql('SELECT max(position) AS top FROM entries WHERE id = ?'),
    read: sql('SELECT position, body FROM entries WHERE id = ? AND position > ? ORDER BY position LIMIT ?'),
    add: sql(
      'INSERT INTO members (id, member, score) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET score = excluded.score',
    ),
    remove: sql('DELETE FROM members WHERE id = ? AND member = ?'),
    anyMember: sql('SELECT 1 FROM members WHERE id = ? LIMIT 1'),
    below: sql('SELECT member, score FROM members WHERE id = ? AND score <= ? ORDER BY score, member LIMIT ?'),
    highest: sql('SELECT member, score FROM members WHERE id = ? ORDER BY score DESC, member DESC LIMIT ?'),
    highestBelow: sql(
      'SELECT member, score FROM members WHERE id = ? AND score < ? ORDER BY score DESC, member DESC LIMIT ?',
    ),
    count: sql('SELECT count(*) AS count FROM members WHERE id = ?'),
  }
}

function toBuffer(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw new TypeError('Expected bytes in the database')
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

function toBytes(value: Arg): Uint8Array {
  return value instanceof Uint8Array ? value : Buffer.from(String(value))
}

function toMember(row: Record<string, unknown>): { member: string; score: number } {
  return { member: String(row.member), score: Number(row.score) }
}
