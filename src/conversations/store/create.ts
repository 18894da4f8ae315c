import type { Operation } from '#platform/kv/kv.ts'

/**
 * A new conversation; answers when it was created, ms, or undefined when the principal has as many as may be.
 * KEYS record, index
 * ARGV id, specialist, config, arm, cohort, sealed title ('' = none), idle ms, most conversations
 */
export const createConversation: Operation<number | undefined> = {
  name: 'conversation.create',
  lua: `
    if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[8]) then return {} end
    local now = now_ms()
    redis.call('HSET', KEYS[1], 'specialist', ARGV[2], 'config', ARGV[3], 'arm', ARGV[4], 'cohort', ARGV[5],
      'createdAt', now, 'updatedAt', now, 'messages', 0, 'version', 1)
    if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'title', ARGV[6]) end
    redis.call('ZADD', KEYS[2], now, ARGV[1])
    for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[7]) end
    return {now}`,
  twin: (step, keys, [id, specialist = '', config = '', arm = '', cohort = '', ...others]) => {
    const [record, index] = keys
    const [title = '', idleMs, most] = others
    if (!record || !index) throw new RangeError('conversation.create needs two keys')
    if (step.count(index) >= Number(most)) return []
    const { now } = step
    step.set(record, { specialist, config, arm, cohort, createdAt: now, updatedAt: now, messages: 0, version: 1 })
    if (title !== '') step.set(record, { title })
    step.add(index, String(id), now)
    for (const key of keys) step.expire(key, Number(idleMs))
    return [now]
  },
  decode: ([createdAt]) => (createdAt === undefined ? undefined : Number(createdAt)),
}
