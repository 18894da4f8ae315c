import type { LogEntry, Operation } from '#platform/kv/kv.ts'
import { decodeRecord, fields, fieldsInLua, readFields, type StoredConversation } from './record.ts'

/** KEYS record */
export const loadConversation: Operation<StoredConversation | undefined> = {
  name: 'conversation.load',
  lua: `return redis.call('HMGET', KEYS[1], ${fieldsInLua})`,
  twin: (step, [record]) => {
    if (!record) throw new RangeError('conversation.load needs a key')
    return readFields(step, record)
  },
  decode: (reply) => decodeRecord(reply),
}

/**
 * Those of several that still exist, in the given order; what has expired leaves the index.
 * KEYS index, records · ARGV ids
 */
export const loadConversations: Operation<(StoredConversation | undefined)[]> = {
  name: 'conversation.load-all',
  lua: `
    local reply = {}
    for at, id in ipairs(ARGV) do
      local fields = redis.call('HMGET', KEYS[at + 1], ${fieldsInLua})
      if not fields[1] then redis.call('ZREM', KEYS[1], id) end
      for k = 1, ${fields.length} do reply[#reply + 1] = fields[k] end
    end
    return reply`,
  twin: (step, [index, ...records], ids) => {
    if (!index) throw new RangeError('conversation.load-all needs a key')
    return records.flatMap((record, at) => {
      if (!step.exists(record)) step.remove(index, String(ids[at]))
      return readFields(step, record)
    })
  },
  decode: (reply) => {
    const conversations: (StoredConversation | undefined)[] = []
    for (let at = 0; at < reply.length; at += fields.length) conversations.push(decodeRecord(reply, at))
    return conversations
  },
}

/**
 * Entries of the messages above a position; undefined when there is no such conversation.
 * KEYS record, messages · ARGV after, limit
 */
export const readMessages: Operation<LogEntry[] | undefined> = {
  name: 'conversation.messages',
  lua: `
    if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
    return {1, unpack(log_read(KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])))}`,
  twin: (step, [record, messages], [after, limit]) => {
    if (!record || !messages) throw new RangeError('conversation.messages needs two keys')
    if (!step.exists(record)) return []
    return [1, ...step.read(messages, Number(after), Number(limit)).flatMap(({ position, body }) => [position, body])]
  },
  decode: ([exists, ...flat]) => {
    if (!exists) return undefined
    const entries: LogEntry[] = []
    for (let at = 0; at < flat.length; at += 2) {
      const body = flat[at + 1]
      if (Buffer.isBuffer(body)) entries.push({ position: Number(flat[at]), body })
    }
    return entries
  },
}
