import type { Operation } from '#platform/kv/kv.ts'
import { field, integer, text } from './reply.ts'

/**
 * Notes that a turn can be neither gone on with nor told of, for what is wrong with what is kept of it, since when, and gives it up
 * after `patience`: it counts as ended from then on, without an end. A turn that has ended already is given up by nobody; its
 * record goes by itself. Nor is one that another replica holds: it can go on with it.
 * KEYS turn, log · ARGV patience ms, ttl ms, replica
 */
export type GiveUpResult =
  /** Stuck for so long. */
  | { kind: 'stuck'; forMs: number }
  | { kind: 'given-up' }
  /** Somebody else has given it up. */
  | { kind: 'known' }
  | { kind: 'gone' }

export const giveUpTurn: Operation<GiveUpResult> = {
  name: 'turn.give-up',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'state', 'stuck', 'owner', 'lease')
    if not turn[1] then return {3} end
    if turn[1] == 'lost' then return {2} end
    local now = now_ms()
    if not turn[2] then
      redis.call('HSET', KEYS[1], 'stuck', now)
      return {0, 0}
    end
    local stuck = now - tonumber(turn[2])
    if turn[1] ~= 'live' or stuck < tonumber(ARGV[1]) then return {0, stuck} end
    if turn[3] ~= ARGV[3] and tonumber(turn[4]) > now then return {0, stuck} end
    redis.call('HINCRBY', KEYS[1], 'fence', 1)
    redis.call('HSET', KEYS[1], 'state', 'lost')
    for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[2]) end
    signal(KEYS[2], '')
    return {1}`,
  twin: (step, [turn, log], [patienceMs, ttlMs, replica]) => {
    if (!turn || !log) throw new RangeError('turn.give-up needs two keys')
    const state = step.get(turn, 'state')?.toString()
    if (!state) return [3]
    if (state === 'lost') return [2]
    const since = step.get(turn, 'stuck')
    if (!since) {
      step.set(turn, { stuck: step.now })
      return [0, 0]
    }
    const stuck = step.now - field(since)
    if (state !== 'live' || stuck < integer(patienceMs)) return [0, stuck]
    const isHeld = step.get(turn, 'owner')?.toString() !== text(replica) && field(step.get(turn, 'lease')) > step.now
    if (isHeld) return [0, stuck]
    step.increment(turn, 'fence', 1)
    step.set(turn, { state: 'lost' })
    for (const key of [turn, log]) step.expire(key, integer(ttlMs))
    step.signal(log, '')
    return [1]
  },
  decode: ([kind, forMs]) => {
    if (kind === 0) return { kind: 'stuck', forMs: Number(forMs) }
    return { kind: kind === 1 ? 'given-up' : kind === 2 ? 'known' : 'gone' }
  },
}

/**
 * Lets the next turn of a conversation begin that a turn holds up which nobody ends any more: it was given up, or its record is gone.
 * KEYS turn, conversation record · ARGV turn id
 */
export const freeConversation: Operation<boolean> = {
  name: 'turn.free-conversation',
  lua: `
    local state = redis.call('HGET', KEYS[1], 'state')
    if state and state ~= 'lost' then return {0} end
    if redis.call('HGET', KEYS[2], 'live') ~= ARGV[1] then return {0} end
    redis.call('HSET', KEYS[2], 'live', '')
    return {1}`,
  twin: (step, [turn, record], [id]) => {
    if (!turn || !record) throw new RangeError('turn.free-conversation needs two keys')
    const state = step.get(turn, 'state')?.toString()
    if (state && state !== 'lost') return [0]
    if (step.get(record, 'live')?.toString() !== text(id)) return [0]
    step.set(record, { live: '' })
    return [1]
  },
  decode: ([freed]) => freed === 1,
}
