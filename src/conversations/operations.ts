import type { Arg, Operation } from '#platform/kv/kv.ts'

/** A record's fields as they are stored. */
export interface StoredConversation {
  id: string
  specialist: string
  config: string
  arm: string
  createdAt: number
  updatedAt: number
  messages: number
  version: number
  live: string
  /** Sealed; empty when there is none. */
  title: Buffer
}

const FIELDS = [
  'specialist',
  'config',
  'arm',
  'createdAt',
  'updatedAt',
  'messages',
  'version',
  'live',
  'title',
] as const
const LUA_FIELDS = FIELDS.map((name) => `'${name}'`).join(', ')

/**
 * Creates a conversation, unless its owner has too many.
 * KEYS record, index · ARGV id, specialist, config, arm, sealed title, ttl ms, most per owner
 * Answers whether it was created, and when.
 */
export const createConversation: Operation<number | undefined> = {
  name: 'conversation.create',
  lua: `
    if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[7]) then return {false} end
    local now = now_ms()
    redis.call('HSET', KEYS[1], 'specialist', ARGV[2], 'config', ARGV[3], 'arm', ARGV[4], 'title', ARGV[5],
      'createdAt', now, 'updatedAt', now, 'messages', 0, 'version', 1, 'live', '')
    redis.call('ZADD', KEYS[2], now, ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[6])
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
    return {now}`,
  twin: (step, [record, index], [id, specialist, config, arm, title, ttlMs, most]) => {
    if (!record || !index) throw new RangeError('conversation.create needs two keys')
    if (step.count(index) >= Number(most)) return [null]
    const { now } = step
    const given = { specialist: orEmpty(specialist), config: orEmpty(config), arm: orEmpty(arm), title: orEmpty(title) }
    step.set(record, { ...given, createdAt: now, updatedAt: now, messages: 0, version: 1, live: '' })
    step.add(index, String(id), now)
    step.expire(record, Number(ttlMs))
    step.expire(index, Number(ttlMs))
    return [now]
  },
  decode: ([at]) => (typeof at === 'number' ? at : undefined),
}

/** KEYS record. */
export const loadConversation: Operation<Omit<StoredConversation, 'id'> | undefined> = {
  name: 'conversation.load',
  lua: `
    if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
    return redis.call('HMGET', KEYS[1], ${LUA_FIELDS})`,
  twin: (step, [record]) => {
    if (!record) throw new RangeError('conversation.load needs a key')
    return step.exists(record) ? FIELDS.map((name) => step.get(record, name) ?? null) : []
  },
  decode: (reply) => (reply.length === 0 ? undefined : decodeRecord(reply)),
}

/**
 * KEYS record · ARGV sealed title, version it has to be at ('' = any)
 */
export type RenameResult = 'renamed' | 'conflict' | 'gone'

export const renameConversation: Operation<RenameResult> = {
  name: 'conversation.rename',
  lua: `
    local version = redis.call('HGET', KEYS[1], 'version')
    if not version then return {2} end
    if ARGV[2] ~= '' and version ~= ARGV[2] then return {1} end
    redis.call('HSET', KEYS[1], 'title', ARGV[1])
    redis.call('HINCRBY', KEYS[1], 'version', 1)
    return {0}`,
  twin: (step, [record], [title, ifVersion]) => {
    if (!record) throw new RangeError('conversation.rename needs a key')
    const version = step.get(record, 'version')
    if (!version) return [2]
    if (ifVersion !== '' && version.toString() !== String(ifVersion)) return [1]
    step.set(record, { title: orEmpty(title) })
    step.increment(record, 'version', 1)
    return [0]
  },
  decode: ([kind]) => (kind === 0 ? 'renamed' : kind === 1 ? 'conflict' : 'gone'),
}

/** KEYS record, messages, index · ARGV id. Whether there was one. */
export const deleteConversation: Operation<boolean> = {
  name: 'conversation.delete',
  lua: `
    redis.call('DEL', KEYS[2])
    redis.call('ZREM', KEYS[3], ARGV[1])
    return {redis.call('DEL', KEYS[1])}`,
  twin: (step, [record, messages, index], [id]) => {
    if (!record || !messages || !index) throw new RangeError('conversation.delete needs three keys')
    step.delete(messages)
    step.remove(index, String(id))
    return [step.delete(record) ? 1 : 0]
  },
  decode: ([existed]) => existed === 1,
}

/**
 * The ids after a place in the index, newest activity first.
 * KEYS index · ARGV updatedAt and id of the place ('' = from the start), limit
 */
export const listConversations: Operation<{ id: string; updatedAt: number }[]> = {
  name: 'conversation.list',
  lua: `
    local found = {}
    local limit = tonumber(ARGV[3])
    if ARGV[1] ~= '' then
      local ties = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[1], 'BYSCORE', 'REV')
      for _, id in ipairs(ties) do
        if id < ARGV[2] and #found < 2 * limit then found[#found + 1] = id; found[#found + 1] = ARGV[1] end
      end
    end
    local left = limit - #found / 2
    if left > 0 then
      local from = ARGV[1] == '' and '+inf' or '(' .. ARGV[1]
      local rest = redis.call('ZRANGE', KEYS[1], from, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, left, 'WITHSCORES')
      for _, item in ipairs(rest) do found[#found + 1] = item end
    end
    return found`,
  twin: (step, [index], [updatedAt, id, limit]) => {
    if (!index) throw new RangeError('conversation.list needs a key')
    const from = updatedAt === '' ? undefined : Number(updatedAt)
    const ties = from === undefined ? [] : step.highest(index, from + 1, step.count(index))
    const tied = ties.filter(({ member, score }) => score === from && member < String(id)).slice(0, Number(limit))
    const left = Number(limit) - tied.length
    const rest = left > 0 ? step.highest(index, from, left) : []
    return [...tied, ...rest].flatMap(({ member, score }) => [Buffer.from(member), Buffer.from(String(score))])
  },
  decode: (reply) => {
    const found: { id: string; updatedAt: number }[] = []
    for (let at = 0; at < reply.length; at += 2)
      found.push({ id: String(reply[at]), updatedAt: Number(String(reply[at + 1])) })
    return found
  },
}

/** Forgets an index entry whose conversation has expired. KEYS record, index · ARGV id. */
export const pruneConversation: Operation<void> = {
  name: 'conversation.prune',
  lua: `
    if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[1]) end
    return {}`,
  twin: (step, [record, index], [id]) => {
    if (!record || !index) throw new RangeError('conversation.prune needs two keys')
    if (!step.exists(record)) step.remove(index, String(id))
    return []
  },
  decode: () => undefined,
}

function orEmpty(arg: Arg | undefined): Arg {
  return arg ?? ''
}

function decodeRecord(reply: readonly (number | Buffer | null)[]): Omit<StoredConversation, 'id'> {
  const [specialist, config, arm, createdAt, updatedAt, messages, version, live, title] = reply
  return {
    specialist: String(specialist),
    config: String(config),
    arm: String(arm),
    createdAt: Number(String(createdAt)),
    updatedAt: Number(String(updatedAt)),
    messages: Number(String(messages)),
    version: Number(String(version)),
    live: String(live ?? ''),
    title: Buffer.isBuffer(title) ? title : Buffer.alloc(0),
  }
}
