import type { Operation } from '#platform/kv/kv.ts'

/**
 * Keeps a token unless the one that is there lasts longer; false then.
 * KEYS token · ARGV value, when it ends, ms until then
 */
export const keepToken: Operation<boolean> = {
  name: 'user-tokens.keep',
  lua: `
    local ends = tonumber(redis.call('HGET', KEYS[1], 'e') or 0)
    if ends > tonumber(ARGV[2]) then return {0} end
    redis.call('HSET', KEYS[1], 'd', ARGV[1], 'v', 1, 'e', ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return {1}`,
  twin: (step, [token], [value = '', endsAt, ttlMs]) => {
    if (!token) throw new RangeError('user-tokens.keep needs a key')
    if (Number(step.get(token, 'e') ?? 0) > Number(endsAt)) return [0]
    step.set(token, { d: value, v: 1, e: Number(endsAt) })
    step.expire(token, Number(ttlMs))
    return [1]
  },
  decode: ([kept]) => kept === 1,
}

/**
 * The authority did not take this one: it stays, for a consent may be all that is missing, and makes way for any other.
 * KEYS token · ARGV value
 */
export const yieldToken: Operation<void> = {
  name: 'user-tokens.yield',
  lua: `
    if redis.call('HGET', KEYS[1], 'd') == ARGV[1] then redis.call('HSET', KEYS[1], 'e', 0) end
    return {}`,
  twin: (step, [token], [value = '']) => {
    if (!token) throw new RangeError('user-tokens.yield needs a key')
    const kept = step.get(token, 'd')
    if (kept && typeof value === 'object' && Buffer.compare(kept, value) === 0) step.set(token, { e: 0 })
    return []
  },
  decode: () => undefined,
}
