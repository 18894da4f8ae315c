import type { Operation } from '#platform/kv/kv.ts'
import { field, integer, text } from './reply.ts'

/**
 * Renews the lease of a turn that has nothing to append.
 * KEYS turn · ARGV fence, lease ms
 */
export type RenewResult = { kind: 'renewed'; cancelled: boolean } | { kind: 'refused' } | { kind: 'gone' }

export const renewLease: Operation<RenewResult> = {
  name: 'turn.renew',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'fence', 'state', 'cancel')
    if not turn[2] then return {2} end
    if turn[1] ~= ARGV[1] or turn[2] ~= 'live' then return {1} end
    redis.call('HSET', KEYS[1], 'lease', now_ms() + tonumber(ARGV[2]))
    return {0, turn[3] and 1 or 0}`,
  twin: (step, [turn], [fence, leaseMs]) => {
    if (!turn) throw new RangeError('turn.renew needs a key')
    if (!step.get(turn, 'state')) return [2]
    if (field(step.get(turn, 'fence')) !== integer(fence) || step.get(turn, 'state')?.toString() !== 'live') return [1]
    step.set(turn, { lease: step.now + integer(leaseMs) })
    return [0, step.get(turn, 'cancel') ? 1 : 0]
  },
  decode: ([kind, cancelled]) => {
    if (kind === 0) return { kind: 'renewed', cancelled: cancelled === 1 }
    return { kind: kind === 1 ? 'refused' : 'gone' }
  },
}

/**
 * Claims a turn whose producer let its lease run out, or let go of it: raises the fence, so that the old producer's appends are
 * refused. How many of its producers were lost, not told to stop, is counted.
 * KEYS turn · ARGV owner, lease ms
 */
export type ClaimResult =
  | { kind: 'claimed'; fence: number; cancelled: boolean; lost: number }
  | { kind: 'held'; forMs: number }
  | { kind: 'done' }

export const claimTurn: Operation<ClaimResult> = {
  name: 'turn.claim',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'state', 'lease', 'cancel', 'lost')
    if turn[1] ~= 'live' then return {2} end
    local left = tonumber(turn[2]) - now_ms()
    if left > 0 then return {1, left} end
    local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
    local lost = tonumber(turn[4] or 0)
    if turn[2] ~= '0' then lost = lost + 1 end
    redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'lease', now_ms() + tonumber(ARGV[2]), 'lost', lost)
    return {0, fence, turn[3] and 1 or 0, lost}`,
  twin: (step, [turn], [owner, leaseMs]) => {
    if (!turn) throw new RangeError('turn.claim needs a key')
    if (step.get(turn, 'state')?.toString() !== 'live') return [2]
    const until = field(step.get(turn, 'lease'))
    const left = until - step.now
    if (left > 0) return [1, left]
    const fence = step.increment(turn, 'fence', 1)
    const lost = Number(step.get(turn, 'lost') ?? 0) + (until === 0 ? 0 : 1)
    step.set(turn, { owner: text(owner), lease: step.now + integer(leaseMs), lost })
    return [0, fence, step.get(turn, 'cancel') ? 1 : 0, lost]
  },
  decode: ([kind, value, cancelled, lost]) => {
    if (kind === 2) return { kind: 'done' }
    if (kind === 1) return { kind: 'held', forMs: Number(value) }
    return { kind: 'claimed', fence: Number(value), cancelled: cancelled === 1, lost: Number(lost) }
  },
}

/**
 * Lets go of a turn unfinished, so that another replica takes it over at once.
 * KEYS turn · ARGV fence
 */
export const releaseTurn: Operation<boolean> = {
  name: 'turn.release',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'fence', 'state')
    if turn[1] ~= ARGV[1] or turn[2] ~= 'live' then return {0} end
    redis.call('HSET', KEYS[1], 'lease', 0)
    return {1}`,
  twin: (step, [turn], [fence]) => {
    if (!turn) throw new RangeError('turn.release needs a key')
    if (field(step.get(turn, 'fence')) !== integer(fence) || step.get(turn, 'state')?.toString() !== 'live') return [0]
    step.set(turn, { lease: 0 })
    return [1]
  },
  decode: ([released]) => released === 1,
}
