import { LRUCache } from 'lru-cache'
import type { Key, LogEntry } from './kv.ts'
import { type Change, JournalWriter, packEntries, readChanges, unpackEntries } from './sqlite-journal.ts'
import { type Kind, kinds, type Statements } from './sqlite-schema.ts'

interface Base {
  readonly key: Key
  readonly id: number
  expires: number | null
  /** Dropped: whatever else it says is void. */
  gone: boolean
  /** The journal row with its oldest change that the tables have not yet, and how large all of these are. */
  since: number
  unsettledBytes: number
}

export interface RecordItem extends Base {
  readonly kind: typeof kinds.record
  readonly fields: Map<string, Buffer>
  /** Names of fields that the tables have not as they are. */
  readonly changed: Set<string>
}

export interface LogItem extends Base {
  readonly kind: typeof kinds.log
  top: number
  /** The entries that the tables have not. */
  tail: LogEntry[]
}

export interface IndexItem extends Base {
  readonly kind: typeof kinds.index
}

export type Item = RecordItem | LogItem | IndexItem

const cacheBytes = 32 << 20
const itemBytes = 512
const chunkBytes = 64 << 10

/**
 * The keys as their users see them, in front of the tables. A turn appends forty times a second; were each append to touch
 * the pages of its log and its record, a commit would write hundreds of pages. So a change of a record or a log is made in
 * memory and goes to the tables later, with others of its key; a transaction writes all its changes as one row of the
 * journal, which is read back after a crash. Replaying a change that the tables have already does no harm. Keys themselves
 * and indexes change less often and go to the tables at once.
 */
export class Items {
  readonly #sql: Statements
  /** Items with changes that the tables have not; those of the longest standing first. */
  readonly #unsettled = new Set<Item>()
  readonly #unsettledByKey = new Map<Key, Item>()
  readonly #settled = new LRUCache<Key, Item>({ maxSize: cacheBytes, sizeCalculation: sizeOf })
  /** Made in the present transaction: written at its end, with the expiry that they got meanwhile, in one statement each. */
  readonly #fresh = new Map<Key, Item>()
  readonly #journal = new JournalWriter()
  readonly #undo: (() => void)[] = []
  #unsettledBytes = 0
  #touched = false
  #nextId: number
  #nextSeq = 1

  constructor(statements: Statements) {
    this.#sql = statements
    this.#sql.begin.run()
    for (const row of this.#sql.journal.all()) {
      for (const change of readChanges(bufferOf(row.changes))) this.#replay(change)
    }
    this.#sql.trimJournal.run(Number.MAX_SAFE_INTEGER)
    this.#sql.commit.run()
    this.#nextId = Number(this.#sql.lastId.get()?.id ?? 0) + 1
  }

  get unsettled(): number {
    return this.#unsettled.size
  }

  get unsettledBytes(): number {
    return this.#unsettledBytes
  }

  /** Of the present transaction. */
  get journalBytes(): number {
    return this.#journal.length
  }

  /** The present transaction has something to write. */
  get touched(): boolean {
    return this.#touched || this.#journal.length > 0
  }

  /** A member of an index is about to change, in its table. */
  touch(): void {
    this.#touched = true
  }

  find(key: Key): Item | undefined {
    const item = this.#unsettledByKey.get(key) ?? this.#settled.get(key) ?? this.#fresh.get(key)
    if (item) return item
    const row = this.#sql.findKey.get(key)
    return row && this.#keep(this.#load(key, Number(row.id), Number(row.kind), numberOrNull(row.expires)))
  }

  make(key: Key, kind: Kind): Item {
    this.#touched = true
    const item = this.#keep(emptyItem(key, this.#nextId++, kind, null))
    this.#fresh.set(key, item)
    this.#undo.push(() => {
      this.#fresh.delete(key)
      this.#forget(item)
    })
    return item
  }

  drop(item: Item): void {
    this.#touched = true
    const isFresh = this.#fresh.get(item.key) === item
    if (isFresh) this.#fresh.delete(item.key)
    else this.#sql.dropKey.run(item.id)
    // A record may hold what somebody wants destroyed; the others may be long, and are swept bit by bit.
    if (item.kind === kinds.record) this.#sql.dropFields.run(item.id)
    else this.#sql.addGarbage.run(item.id, item.kind)
    this.#forget(item)
    this.#undo.push(() => {
      item.gone = false
      if (isFresh) this.#fresh.set(item.key, item)
      if (this.#unsettled.has(item)) this.#unsettledByKey.set(item.key, item)
    })
  }

  expire(item: Item, expires: number | null): void {
    const before = item.expires
    if (before === expires) return
    this.#touched = true
    if (this.#fresh.get(item.key) !== item) this.#sql.expireKey.run(expires, item.id)
    item.expires = expires
    this.#undo.push(() => {
      item.expires = before
    })
  }

  setField(item: RecordItem, name: string, value: Buffer): void {
    const before = item.fields.get(name)
    this.#unsettle(item, value.length)
    item.fields.set(name, value)
    item.changed.add(name)
    this.#journal.write('set', item.id, name, 0, value)
    this.#undo.push(() => {
      if (before === undefined) item.fields.delete(name)
      else item.fields.set(name, before)
    })
  }

  unsetField(item: RecordItem, name: string): boolean {
    const before = item.fields.get(name)
    if (before === undefined) return false
    this.#unsettle(item, 0)
    item.fields.delete(name)
    item.changed.add(name)
    this.#journal.write('unset', item.id, name, 0)
    this.#undo.push(() => item.fields.set(name, before))
    return true
  }

  append(item: LogItem, position: number, body: Buffer): void {
    const before = item.top
    this.#unsettle(item, body.length)
    item.tail.push({ position, body })
    item.top = position
    this.#journal.write('append', item.id, '', position, body)
    this.#undo.push(() => {
      item.tail.pop()
      item.top = before
    })
  }

  read(item: LogItem, after: number, limit: number): LogEntry[] {
    const first = item.tail[0]
    const entries: LogEntry[] = []
    if (!first || after < first.position - 1) {
      for (const row of this.#sql.chunks.iterate(item.id, after)) {
        entries.push(...unpackEntries(bufferOf(row.entries)).filter(({ position }) => position > after))
        if (entries.length >= limit) return entries.slice(0, limit)
      }
    }
    // Whoever follows a log reads its end.
    let from = item.tail.length
    while (from > 0 && (item.tail[from - 1]?.position ?? -1) > after) from -= 1
    return entries.concat(item.tail.slice(from, from + limit - entries.length))
  }

  /** Keys above one and below another, in their order. */
  keysBetween(from: string, to: string, limit: number): Key[] {
    const kept = this.#sql.keysBetween.all(from, to, limit).map((row) => String(row.key) as Key)
    const fresh = [...this.#fresh.keys()].filter((key) => key > from && key < to)
    return fresh.length === 0 ? kept : [...kept, ...fresh].sort().slice(0, limit)
  }

  /** A page to write, with nothing new on it. */
  writeForNothing(): void {
    this.#touched = true
    this.#sql.addGarbage.run(0, 0)
    this.#sql.dropGarbage.run(0)
  }

  /** Where the present transaction stands; `undoTo` takes back what came after. The statements are rolled back apart. */
  mark(): { undo: number; journal: number } {
    return { undo: this.#undo.length, journal: this.#journal.length }
  }

  undoTo({ undo, journal }: { undo: number; journal: number }): void {
    for (let at = this.#undo.length - 1; at >= undo; at--) this.#undo[at]?.()
    this.#undo.length = undo
    this.#journal.cut(journal)
  }

  /** The whole transaction is taken back. */
  rolledBack(): void {
    this.undoTo({ undo: 0, journal: 0 })
    this.#touched = false
  }

  /** Part of the transaction: the keys that it made, and what else it changed as a row of the journal. */
  writeChanges(): void {
    for (const { id, key, kind, expires } of this.#fresh.values()) this.#sql.addKey.run(id, key, kind, expires)
    if (this.#journal.length > 0) this.#sql.addJournal.run(this.#nextSeq, this.#journal.content())
  }

  /** After the commit. */
  committed(): void {
    if (this.#journal.length > 0) this.#nextSeq += 1
    this.#fresh.clear()
    this.#journal.cut(0)
    this.#undo.length = 0
    this.#touched = false
  }

  /** In a transaction of its own: brings the tables up to date with the `limit` items that have waited longest. */
  settle(limit: number): { bytes: number } {
    const bytesBefore = this.#unsettledBytes
    const settled: Item[] = []
    this.#sql.begin.run()
    try {
      for (const item of this.#unsettled) {
        if (settled.length === limit) break
        settled.push(item)
        if (item.gone) continue
        if (item.kind === kinds.record) this.#writeFields(item)
        if (item.kind === kinds.log) this.#writeChunks(item)
      }
      this.#sql.trimJournal.run(this.#oldestSeqAfter(settled.length))
      this.#sql.commit.run()
    } catch (error) {
      this.#sql.rollback.run()
      throw error
    }
    for (const item of settled) this.#markSettled(item)
    return { bytes: bytesBefore - this.#unsettledBytes }
  }

  #writeFields(item: RecordItem): void {
    for (const name of item.changed) {
      const value = item.fields.get(name)
      if (value) this.#sql.setField.run(item.id, name, value)
      else this.#sql.unsetField.run(item.id, name)
    }
  }

  #writeChunks(item: LogItem): void {
    let chunk: LogEntry[] = []
    let bytes = 0
    for (const entry of item.tail) {
      chunk.push(entry)
      bytes += entry.body.length
      if (bytes < chunkBytes && entry.position !== item.top) continue
      this.#sql.addChunk.run(item.id, entry.position, packEntries(chunk))
      chunk = []
      bytes = 0
    }
  }

  #oldestSeqAfter(count: number): number {
    let at = 0
    for (const item of this.#unsettled) if (at++ === count) return item.since
    return this.#nextSeq
  }

  #markSettled(item: Item): void {
    this.#unsettled.delete(item)
    this.#unsettledBytes -= item.unsettledBytes
    item.unsettledBytes = 0
    if (item.kind === kinds.record) item.changed.clear()
    if (item.kind === kinds.log) item.tail = []
    if (item.gone) return
    this.#unsettledByKey.delete(item.key)
    this.#keep(item)
  }

  #unsettle(item: Item, bytes: number): void {
    item.unsettledBytes += bytes
    this.#unsettledBytes += bytes
    if (this.#unsettled.has(item)) return
    item.since = this.#nextSeq
    this.#settled.delete(item.key)
    this.#unsettled.add(item)
    this.#unsettledByKey.set(item.key, item)
  }

  #keep(item: Item): Item {
    this.#settled.set(item.key, item)
    return item
  }

  #forget(item: Item): void {
    item.gone = true
    this.#settled.delete(item.key)
    if (this.#unsettledByKey.get(item.key) === item) this.#unsettledByKey.delete(item.key)
  }

  #load(key: Key, id: number, kind: number, expires: number | null): Item {
    const item = emptyItem(key, id, kind, expires)
    if (item.kind === kinds.record) {
      for (const row of this.#sql.fields.iterate(id)) item.fields.set(String(row.name), bufferOf(row.value))
    }
    if (item.kind === kinds.log) item.top = this.#storedTop(id)
    return item
  }

  #storedTop(id: number): number {
    return Number(this.#sql.top.get(id)?.top ?? -1)
  }

  #replay({ what, id, name, position, bytes }: Change): void {
    if (!this.#sql.hasKey.get(id)) return
    if (what === 'set') this.#sql.setField.run(id, name, bytes)
    else if (what === 'unset') this.#sql.unsetField.run(id, name)
    else if (position > this.#storedTop(id))
      this.#sql.addChunk.run(id, position, packEntries([{ position, body: bytes }]))
  }
}

function emptyItem(key: Key, id: number, kind: number, expires: number | null): Item {
  const base = { key, id, expires, gone: false, since: 0, unsettledBytes: 0 }
  if (kind === kinds.record) return { ...base, kind, fields: new Map(), changed: new Set() }
  if (kind === kinds.log) return { ...base, kind, top: -1, tail: [] }
  return { ...base, kind: kinds.index }
}

function sizeOf(item: Item): number {
  let bytes = itemBytes
  if (item.kind === kinds.record) for (const [name, value] of item.fields) bytes += name.length + value.length + 64
  return bytes
}

function bufferOf(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw new TypeError('Expected bytes in the database')
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value)
}
