import type { Operation } from '#platform/kv/kv.ts'
import { count, integer, text } from './arguments.ts'
import { DAY_MS } from './take.ts'

/**
 * What is under way goes on.
 * KEYS held · ARGV lease ms, ids…
 */
export const renew: Operation<void> = {
  name: 'limits.renew',
  patient: true,
  lua: `
    local till = now_ms() + tonumber(ARGV[1])
    for i = 2, #ARGV do redis.call('ZADD', KEYS[1], till, ARGV[i]) end
    return {}`,
  twin: (step, [held], [leaseMs, ...ids]) => {
    if (!held) throw new RangeError('limits.renew needs a key')
    for (const id of ids) step.add(held, text(id), step.now + integer(leaseMs))
    return []
  },
  decode: () => {},
}

/**
 * What was under way is over: its place and what it reserved are free.
 * KEYS principal, held · ARGV id
 */
export const giveBack: Operation<void> = {
  name: 'limits.give-back',
  patient: true,
  lua: `
    redis.call('ZREM', KEYS[2], ARGV[1])
    local reserved = redis.call('HGET', KEYS[1], 'h:' .. ARGV[1])
    if reserved then
      redis.call('HINCRBY', KEYS[1], 'reserved', -tonumber(reserved))
      redis.call('HDEL', KEYS[1], 'h:' .. ARGV[1])
    end
    return {}`,
  twin: (step, [principal, held], [id]) => {
    if (!principal || !held) throw new RangeError('limits.give-back needs two keys')
    const field = `h:${text(id)}`
    step.remove(held, text(id))
    const reserved = step.get(principal, field)
    if (reserved) {
      step.increment(principal, 'reserved', -count(reserved))
      step.unset(principal, field)
    }
    return []
  },
  decode: () => {},
}

/**
 * Tokens that were used, once per unit, however often it is told.
 * KEYS principal, counted · ARGV unit, tokens
 */
export const countTokens: Operation<void> = {
  name: 'limits.count-tokens',
  patient: true,
  lua: `
    if redis.call('HSETNX', KEYS[2], ARGV[1], 1) == 0 then return {} end
    redis.call('PEXPIRE', KEYS[2], ${2 * DAY_MS})
    local day = math.floor(now_ms() / ${DAY_MS})
    if tonumber(redis.call('HGET', KEYS[1], 'day') or -1) ~= day then
      redis.call('HSET', KEYS[1], 'day', day, 'used', 0)
    end
    redis.call('HINCRBY', KEYS[1], 'used', ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ${2 * DAY_MS})
    return {}`,
  twin: (step, [principal, counted], [unit, tokens]) => {
    if (!principal || !counted) throw new RangeError('limits.count-tokens needs two keys')
    if (step.get(counted, text(unit))) return []
    step.set(counted, { [text(unit)]: 1 })
    step.expire(counted, 2 * DAY_MS)
    const day = Math.floor(step.now / DAY_MS)
    if (count(step.get(principal, 'day')) !== day) step.set(principal, { day, used: 0 })
    step.increment(principal, 'used', integer(tokens))
    step.expire(principal, 2 * DAY_MS)
    return []
  },
  decode: () => {},
}
