import type { Operation } from '#platform/kv/kv.ts'
import { decodeRecord, fieldsInLua, readFields, type StoredConversation } from './record.ts'

/**
 * Another title, if nobody changed the conversation since.
 * KEYS record, messages, index
 * ARGV id, sealed title, version it has to have ('' = any), idle ms
 */
export type RenameResult =
  | { kind: 'renamed'; conversation: StoredConversation }
  | { kind: 'changed' }
  | { kind: 'gone' }

export const renameConversation: Operation<RenameResult> = {
  name: 'conversation.rename',
  lua: `
    local version = redis.call('HGET', KEYS[1], 'version')
    if not version then return {} end
    if ARGV[3] ~= '' and ARGV[3] ~= version then return {0} end
    local now = now_ms()
    redis.call('HSET', KEYS[1], 'title', ARGV[2], 'version', version + 1, 'updatedAt', now)
    redis.call('ZADD', KEYS[3], now, ARGV[1])
    for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[4]) end
    return redis.call('HMGET', KEYS[1], ${fieldsInLua})`,
  twin: (step, keys, [id, title = '', ifVersion, idleMs]) => {
    const [record, messages, index] = keys
    if (!record || !messages || !index) throw new RangeError('conversation.rename needs three keys')
    const version = step.get(record, 'version')
    if (!version) return []
    if (ifVersion !== '' && String(ifVersion) !== String(version)) return [0]
    step.set(record, { title, version: Number(version) + 1, updatedAt: step.now })
    step.add(index, String(id), step.now)
    for (const key of keys) step.expire(key, Number(idleMs))
    return readFields(step, record)
  },
  decode: (reply) => {
    const conversation = decodeRecord(reply)
    if (conversation) return { kind: 'renamed', conversation }
    return { kind: reply.length > 0 ? 'changed' : 'gone' }
  },
}
