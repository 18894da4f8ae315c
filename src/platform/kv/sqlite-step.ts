import type { Arg, Key, LogEntry, Step } from './kv.ts'
import { checkPayload, checkPosition } from './limits.ts'
import type { IndexItem, Item, Items, LogItem, RecordItem } from './sqlite-items.ts'
import { kinds, type Statements } from './sqlite-schema.ts'

export interface Signal {
  key: Key
  payload: string
}

/** What twins act through: the commands of Redis, on the items. */
export class SqliteStep implements Step {
  now = 0
  signals: Signal[] = []
  readonly #items: Items
  readonly #sql: Statements

  constructor(items: Items, statements: Statements) {
    this.#items = items
    this.#sql = statements
  }

  takeSignals(): Signal[] {
    const signals = this.signals
    if (signals.length > 0) this.signals = []
    return signals
  }

  exists(key: Key): boolean {
    return this.#find(key) !== undefined
  }

  delete(key: Key): boolean {
    const item = this.#find(key)
    if (item) this.#items.drop(item)
    return item !== undefined
  }

  expire(key: Key, ttlMs: number): void {
    if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) throw new RangeError('A time to live is a whole number from 1')
    const item = this.#find(key)
    if (!item) return
    const expires = this.now + ttlMs
    // Each turn renews the days of several keys twice: a thousandth of them is not worth a write.
    if (item.expires !== null && Math.abs(expires - item.expires) <= ttlMs / 1000) return
    this.#items.expire(item, expires)
  }

  persist(key: Key): void {
    const item = this.#find(key)
    if (item) this.#items.expire(item, null)
  }

  get(key: Key, field: string): Buffer | undefined {
    return this.#record(key)?.fields.get(field)
  }

  set(key: Key, fields: Readonly<Record<string, Arg>>): void {
    const record = this.#record(key) ?? (this.#items.make(key, kinds.record) as RecordItem)
    for (const name in fields) this.#items.setField(record, name, toBuffer(fields[name]))
  }

  unset(key: Key, field: string): void {
    const record = this.#record(key)
    if (record && this.#items.unsetField(record, field) && record.fields.size === 0) this.#items.drop(record)
  }

  increment(key: Key, field: string, by: number): number {
    const next = Number(this.get(key, field) ?? 0) + by
    if (!Number.isSafeInteger(next)) throw new RangeError('Only whole numbers can be counted')
    this.set(key, { [field]: next })
    return next
  }

  append(key: Key, position: number, body: Uint8Array): boolean {
    checkPosition(position)
    const log = this.#log(key) ?? (this.#items.make(key, kinds.log) as LogItem)
    if (position <= log.top) return false
    this.#items.append(log, position, toBuffer(body))
    return true
  }

  top(key: Key): number {
    return this.#log(key)?.top ?? -1
  }

  read(key: Key, after: number, limit: number): LogEntry[] {
    const log = this.#log(key)
    return log ? this.#items.read(log, after, limit) : []
  }

  add(key: Key, member: string, score: number): void {
    if (!Number.isSafeInteger(score)) throw new RangeError('A score is a whole number')
    const { id } = this.#index(key) ?? this.#items.make(key, kinds.index)
    this.#items.touch()
    this.#sql.addMember.run(id, member, score)
  }

  remove(key: Key, member: string): boolean {
    const index = this.#index(key)
    if (!index || this.#sql.removeMember.run(index.id, member).changes === 0) return false
    this.#items.touch()
    if (!this.#sql.anyMember.get(index.id)) this.#items.drop(index)
    return true
  }

  below(key: Key, maxScore: number, limit: number): { member: string; score: number }[] {
    const index = this.#index(key)
    return index ? this.#sql.below.all(index.id, maxScore, limit).map(toMember) : []
  }

  highest(key: Key, below: number | undefined, limit: number): { member: string; score: number }[] {
    const index = this.#index(key)
    if (!index) return []
    const { highest, highestBelow } = this.#sql
    return (below === undefined ? highest.all(index.id, limit) : highestBelow.all(index.id, below, limit)).map(toMember)
  }

  count(key: Key): number {
    const index = this.#index(key)
    return index ? Number(this.#sql.countMembers.get(index.id)?.count) : 0
  }

  beside(key: Key, after: string, limit: number): Key[] {
    // Names are printable ASCII, all of it below DEL.
    const partition = key.slice(0, key.indexOf('}') + 1)
    const from = after === '' ? partition : after
    return this.#items.keysBetween(from, `${partition}\x7f`, limit)
  }

  signal(key: Key, payload: string): void {
    checkPayload(payload)
    this.signals.push({ key, payload })
  }

  /** The live item; one that has expired is dropped on sight. */
  #find(key: Key): Item | undefined {
    const item = this.#items.find(key)
    if (!item || item.expires === null || item.expires > this.now) return item
    this.#items.drop(item)
    return undefined
  }

  #record(key: Key): RecordItem | undefined {
    const item = this.#find(key)
    if (!item || item.kind === kinds.record) return item
    throw otherKind()
  }

  #log(key: Key): LogItem | undefined {
    const item = this.#find(key)
    if (!item || item.kind === kinds.log) return item
    throw otherKind()
  }

  #index(key: Key): IndexItem | undefined {
    const item = this.#find(key)
    if (!item || item.kind === kinds.index) return item
    throw otherKind()
  }
}

function otherKind(): TypeError {
  return new TypeError('This key holds another kind of value')
}

function toBuffer(value: Arg | undefined): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return Buffer.from(String(value))
}

function toMember(row: Record<string, unknown>): { member: string; score: number } {
  return { member: String(row.member), score: Number(row.score) }
}
