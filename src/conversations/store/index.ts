import type { Operation, Reply } from '#platform/kv/kv.ts'

/** A conversation's place in the order of activity. */
export interface IndexEntry {
  id: string
  updatedAt: number
}

/**
 * Newest activity first, ties by id, descending; from `newest` on, which may be absent.
 * KEYS index · ARGV newest updatedAt ('' = all), limit
 */
export const newestConversations: Operation<IndexEntry[]> = {
  name: 'conversation.newest',
  lua: `
    local newest = ARGV[1] == '' and '+inf' or ARGV[1]
    return redis.call('ZREVRANGEBYSCORE', KEYS[1], newest, '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])`,
  twin: (step, [index], [newest, limit]) => {
    if (!index) throw new RangeError('conversation.newest needs a key')
    const below = newest === '' ? undefined : Number(newest) + 1
    return step.highest(index, below, Number(limit)).flatMap(({ member, score }) => [Buffer.from(member), score])
  },
  decode: decodeEntries,
}

/** KEYS index · ARGV limit */
export const oldestConversations: Operation<IndexEntry[]> = {
  name: 'conversation.oldest',
  lua: `return redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')`,
  twin: (step, [index], [limit]) => {
    if (!index) throw new RangeError('conversation.oldest needs a key')
    const found = step.below(index, Number.MAX_SAFE_INTEGER, Number(limit))
    return found.flatMap(({ member, score }) => [Buffer.from(member), score])
  },
  decode: decodeEntries,
}

function decodeEntries(reply: Reply): IndexEntry[] {
  const entries: IndexEntry[] = []
  for (let at = 0; at < reply.length; at += 2) {
    entries.push({ id: String(reply[at]), updatedAt: Number(reply[at + 1]) })
  }
  return entries
}
