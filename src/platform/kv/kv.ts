/**
 * The live state of Parley: conversations, turn logs, claims, counters, signals.
 * Two implementations, Redis and SQLite, are held together by `test/contracts/kv.ts`.
 *
 * Every key names its partition; all keys of one operation share one, so that a Redis Cluster keeps them in one slot.
 * Every method rejects with `ParleyError` `state_unavailable` (503, retryable) when the store cannot be reached.
 */
export interface Kv {
  readonly engine: 'redis' | 'sqlite'
  /** False while the store is known to be out of reach. */
  readonly reachable: boolean
  /** What makes the store unfit for use as it is configured; who has a fault is not ready. */
  readonly fault: string | undefined

  get(key: Key): Promise<Versioned | undefined>
  /**
   * Writes and returns the new version (1 for a new key); `undefined` when `ifVersion` (0 = must not exist) does not hold.
   * Without `ttlMs` it never expires, whatever was said before.
   */
  put(key: Key, value: Uint8Array, options?: { ifVersion?: number; ttlMs?: number }): Promise<number | undefined>
  /** True when something was deleted (or, with `ifVersion`, when that version was). Works for values, logs and records alike. */
  delete(key: Key, options?: { ifVersion?: number }): Promise<boolean>

  /** Appends at `position`, which must be above the log's top; false when it is not. Without `ttlMs` the expiry stays. */
  append(key: Key, position: number, body: Uint8Array, options?: { ttlMs?: number }): Promise<boolean>
  /** Entries with a position above `after` (-1 for all), in order, at most `limit` (up to `kvLimits.readEntries`). */
  read(key: Key, after: number, limit: number): Promise<LogEntry[]>

  /** Wakes whoever listens on this key, on any replica. Best effort: who listens also polls. */
  signal(key: Key, payload?: string): Promise<void>
  /** Resolves once listening; the result ends it. `onGap`: it listens again, and may have missed signals meanwhile. */
  listen(key: Key, onSignal: (payload: string) => void, onGap?: () => void): Promise<() => void>

  /** Runs a named atomic operation. Calls made within one tick leave in one write, in order. */
  run<Result>(operation: Operation<Result>, keys: readonly Key[], args: readonly Arg[]): Promise<Result>

  close(): Promise<void>
}

/** A body that is too large rejects with `message_too_large`; the other limits are for programs: `RangeError`. */
export const kvLimits = {
  /** Of a value, a log entry, and each argument of an operation. */
  valueBytes: 8 << 20,
  keyLength: 512,
  readEntries: 1000,
  payloadBytes: 1024,
} as const

/** `{partition}name`: the braces are a Redis Cluster hash tag. Made by `key()`. */
export type Key = string & { readonly brand: 'kv-key' }

/** Printable ASCII, no braces in the partition; throws `RangeError`. */
export function key(partition: string, name: string): Key {
  if (!/^[!-z|~]+$/.test(partition)) throw new RangeError('A partition is printable ASCII without braces')
  if (!/^[!-~]*$/.test(name)) throw new RangeError('The name of a key is printable ASCII')
  const made = `{${partition}}${name}`
  if (made.length > kvLimits.keyLength) throw new RangeError(`A key has at most ${kvLimits.keyLength} characters`)
  return made as Key
}

/** Buffers that come out are not to be written to. */
export interface Versioned {
  value: Buffer
  version: number
}

export interface LogEntry {
  position: number
  body: Buffer
}

export type Arg = string | number | Uint8Array
/** What an operation answers: integers, bytes and nulls, the same from Lua and from the twin. */
export type Reply = readonly (number | Buffer | null)[]

/**
 * One atomic step over several keys of one partition, declared by the module that owns it: the Lua body for Redis, and its
 * twin over `Step` for SQLite. `name` is unique in the process. A twin may be run again when its transaction is: it acts
 * through `Step` alone.
 *
 * The body uses `redis.call` for records and sorted sets, and for what needs translation these functions, put before it:
 *
 *     now_ms()                              TIME, in ms
 *     log_append(key, position, body)       true, or false when `position` is not above the top
 *     log_top(key)                          -1 for an empty or missing log
 *     log_read(key, after, limit)           { position, body, position, body, … }
 *     signal(key, payload)                  SPUBLISH
 *
 * ARGV are strings: `tonumber` what is a number. A missing field is `false`, and so is a null of the reply. A returned
 * number becomes an integer (fractions are cut off); what HGET or WITHSCORES gave are strings, so buffers in the reply.
 * Check first, then write: Redis keeps what a body did before it failed.
 */
export interface Operation<Result> {
  readonly name: string
  /** It may wait a moment for company, where that makes it cheaper: nobody waits for its answer. */
  readonly patient?: boolean
  /** KEYS and ARGV as handed to `run`; returns a flat array of integers, strings and false (null). */
  readonly lua: string
  twin(step: Step, keys: readonly Key[], args: readonly Arg[]): Reply
  decode(reply: Reply): Result
}

/**
 * What a twin may do, each the counterpart of the Redis command named beside it. All of one operation is one transaction.
 * Keys hold one kind each: a record (hash), a log (stream), or an index (sorted set); a record or index without entries does
 * not exist. Plain values are records too: fields `d` (bytes) and `v` (version). Scores are integers.
 */
export interface Step {
  /** ms since the epoch, of the store's clock (`TIME`). */
  readonly now: number
  exists(key: Key): boolean
  delete(key: Key): boolean
  /** PEXPIRE; an expiry that differs by less than a thousandth of `ttlMs` may stay as it is. */
  expire(key: Key, ttlMs: number): void
  /** PERSIST. */
  persist(key: Key): void
  /** HGET. */
  get(key: Key, field: string): Buffer | undefined
  /** HSET. */
  set(key: Key, fields: Readonly<Record<string, Arg>>): void
  /** HDEL. */
  unset(key: Key, field: string): void
  /** HINCRBY: the new value. */
  increment(key: Key, field: string, by: number): number
  /** `log_append`: false when `position` is not above the top. */
  append(key: Key, position: number, body: Uint8Array): boolean
  /** `log_top`: highest position ever appended, -1 for an empty or missing log. */
  top(key: Key): number
  /** `log_read`: entries with a position above `after`, in order, at most `limit`. */
  read(key: Key, after: number, limit: number): LogEntry[]
  /** ZADD. */
  add(key: Key, member: string, score: number): void
  /** ZREM. */
  remove(key: Key, member: string): boolean
  /** ZRANGE … BYSCORE LIMIT from -inf to `maxScore`, ascending; ties by member. */
  below(key: Key, maxScore: number, limit: number): { member: string; score: number }[]
  /** ZREVRANGEBYSCORE (maxScore exclusive when given) LIMIT, descending; ties by member, descending. */
  highest(key: Key, below: number | undefined, limit: number): { member: string; score: number }[]
  /** ZCARD. */
  count(key: Key): number
  /** SCAN … MATCH `{partition}*` of the key's partition: at most `limit` keys above `after` ('' for all), in order. */
  beside(key: Key, after: string, limit: number): Key[]
  /** `signal`: delivered after the commit. */
  signal(key: Key, payload: string): void
}
