import type { Operation } from '#platform/kv/kv.ts'
import { count, text } from './arguments.ts'

/**
 * Notes by whom a budget came to its end. One of the canary stands alone where stable has had none in the minute before or after
 * it; the newest such is kept.
 *
 * Fields of counts: `breachAt` of the canary, alone; 0: none · `stableBreachAt`.
 *
 * KEYS counts · ARGV arm, how long is about the same time (ms), ttl ms. Answers whether one of the canary stands alone.
 */
export const noteBreach: Operation<boolean> = {
  name: 'rollout.breach',
  lua: `
    local now, same = now_ms(), tonumber(ARGV[2])
    local alone = tonumber(redis.call('HGET', KEYS[1], 'breachAt') or 0)
    local stable = tonumber(redis.call('HGET', KEYS[1], 'stableBreachAt') or 0)
    if ARGV[1] ~= 'canary' then
      redis.call('HSET', KEYS[1], 'stableBreachAt', now)
      if alone >= now - same then alone = 0 end
    elseif stable < now - same then
      alone = now
    end
    redis.call('HSET', KEYS[1], 'breachAt', alone)
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return {alone > 0 and 1 or 0}`,
  twin: (step, [counts], [arm, sameMs, ttlMs]) => {
    if (!counts) throw new RangeError('rollout.breach needs a key')
    const since = step.now - Number(sameMs)
    let alone = count(step.get(counts, 'breachAt'))
    if (text(arm) !== 'canary') {
      step.set(counts, { stableBreachAt: step.now })
      if (alone >= since) alone = 0
    } else if (count(step.get(counts, 'stableBreachAt')) < since) {
      alone = step.now
    }
    step.set(counts, { breachAt: alone })
    step.expire(counts, Number(ttlMs))
    return [alone > 0 ? 1 : 0]
  },
  decode: ([isAlone]) => Number(isAlone) === 1,
}
