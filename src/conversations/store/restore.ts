import type { Operation } from '#platform/kv/kv.ts'

/**
 * Puts back the record of a conversation that was lost, unless it is there after all; whether it was.
 * KEYS record, index
 * ARGV id, specialist, config, arm, cohort, createdAt, updatedAt, messages, version, sealed title ('' = none), ttl ms
 */
export const restoreConversation: Operation<boolean> = {
  name: 'conversation.restore',
  lua: `
    if redis.call('EXISTS', KEYS[1]) == 1 then return {0} end
    redis.call('HSET', KEYS[1], 'specialist', ARGV[2], 'config', ARGV[3], 'arm', ARGV[4], 'cohort', ARGV[5],
      'createdAt', ARGV[6], 'updatedAt', ARGV[7], 'messages', ARGV[8], 'version', ARGV[9])
    if ARGV[10] ~= '' then redis.call('HSET', KEYS[1], 'title', ARGV[10]) end
    redis.call('PEXPIRE', KEYS[1], ARGV[11])
    redis.call('ZADD', KEYS[2], ARGV[7], ARGV[1])
    if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[11]) then redis.call('PEXPIRE', KEYS[2], ARGV[11]) end
    return {1}`,
  twin: (step, [record, index], [id, specialist = '', config = '', arm = '', cohort = '', ...others]) => {
    const [createdAt = 0, updatedAt = 0, messages = 0, version = 1, title = '', ttlMs = 0] = others
    if (!record || !index) throw new RangeError('conversation.restore needs two keys')
    if (step.exists(record)) return [0]
    step.set(record, { specialist, config, arm, cohort, createdAt, updatedAt, messages, version })
    if (title !== '') step.set(record, { title })
    step.expire(record, Number(ttlMs))
    step.add(index, String(id), Number(updatedAt))
    step.expire(index, Number(ttlMs))
    return [1]
  },
  decode: ([restored]) => Number(restored) === 1,
}
