import { ParleyError } from '#errors.ts'
import type { Key, Kv, Operation } from '#platform/kv/kv.ts'

const AT_ONCE = 100

/** KEYS backlog · ARGV item */
const noteItem: Operation<void> = {
  name: 'backlog.note',
  lua: `redis.call('ZADD', KEYS[1], now_ms(), ARGV[1]) return {}`,
  twin: (step, [index], [item]) => {
    if (!index) throw new RangeError('backlog.note needs a key')
    step.add(index, String(item), step.now)
    return []
  },
  decode: () => undefined,
}

/** KEYS backlog · ARGV limit. The oldest. */
const oldestItems: Operation<string[]> = {
  name: 'backlog.oldest',
  lua: `return redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)`,
  twin: (step, [index], [limit]) => {
    if (!index) throw new RangeError('backlog.oldest needs a key')
    return step.below(index, Number.MAX_SAFE_INTEGER, Number(limit)).map(({ member }) => Buffer.from(member))
  },
  decode: (reply) => reply.map((member) => String(member)),
}

/** KEYS backlog · ARGV items */
const dropItems: Operation<void> = {
  name: 'backlog.drop',
  lua: `redis.call('ZREM', KEYS[1], unpack(ARGV)) return {}`,
  twin: (step, [index], items) => {
    if (!index) throw new RangeError('backlog.drop needs a key')
    for (const item of items) step.remove(index, String(item))
    return []
  },
  decode: () => undefined,
}

/** What is to be done in the database once it is back, noted in the live state for any replica that reaches both again. */
export class Backlog {
  readonly #kv: Kv
  readonly #key: Key

  constructor(kv: Kv, key: Key) {
    this.#kv = kv
    this.#key = key
  }

  /** Rejects with state_unavailable. */
  note(item: string): Promise<void> {
    return this.#kv.run(noteItem, [this.#key], [item])
  }

  /** Undefined where the database is away: then it is noted. Rejects as the work does, and with state_unavailable. */
  async doOrNote<Result>(item: string, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work()
    } catch (error) {
      if (!isAway(error)) throw error
      await this.note(item)
      return undefined
    }
  }

  /** The oldest first, many at a time; what `work` rejects for stays. Rejects as it does, and with state_unavailable. */
  async workOff(work: (items: readonly string[]) => Promise<unknown>): Promise<void> {
    if (!this.#kv.reachable) return
    for (let count = AT_ONCE; count === AT_ONCE; ) {
      const items = await this.#kv.run(oldestItems, [this.#key], [AT_ONCE])
      count = items.length
      if (count === 0) return
      await work(items)
      await this.#kv.run(dropItems, [this.#key], items)
    }
  }
}

export function isAway(error: unknown): boolean {
  return error instanceof ParleyError && error.code === 'database_unavailable'
}
