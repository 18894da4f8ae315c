import type { Key, Operation, Step } from '#platform/kv/kv.ts'
import { budgetLevels } from '../budgets.ts'
import { count, integer, text } from '../limits/arguments.ts'

/**
 * What was spent and is reserved of a budget. Record: `start` of its period (ms), `spent`, `reserved`, `limit` that `raised` (the
 * highest level that was told) is for, `h:<id>` what a call reserved. Index: those calls, by the end of their lease. A period that
 * begins later takes the place of the one before; a replica whose clock is behind spends from the later one.
 *
 * All operations take one record and one index per budget, in KEYS, and `start, limit` of each at the end of ARGV.
 */
const KEPT_MS = 40 * 86_400_000
const LAPSED_AT_ONCE = 100
const SETTLED_MS = 600_000

const letGoLua = `
    local function let_go(record, held, now)
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', now, 'LIMIT', 0, ${LAPSED_AT_ONCE})) do
        redis.call('ZREM', held, id)
        redis.call('HINCRBY', record, 'reserved', -tonumber(redis.call('HGET', record, 'h:' .. id) or 0))
        redis.call('HDEL', record, 'h:' .. id)
      end
    end
    local function turn_over(record, start)
      local known = tonumber(redis.call('HGET', record, 'start'))
      if known < tonumber(start) then redis.call('HSET', record, 'start', start, 'spent', 0, 'raised', 0) end
    end`

export type Reserved = { kind: 'reserved' } | { kind: 'unknown' | 'exceeded'; at: number }

/**
 * Takes from every budget or from none; an amount of 0 only looks whether something is left.
 * KEYS (record, held)… · ARGV id, amount, lease ms, (start, limit)…
 */
export const reserve: Operation<Reserved> = {
  name: 'budgets.reserve',
  lua: `${letGoLua}
    local now, amount = now_ms(), tonumber(ARGV[2])
    for i = 1, #KEYS, 2 do
      if redis.call('HEXISTS', KEYS[i], 'start') == 0 then return {1, (i - 1) / 2} end
    end
    for i = 1, #KEYS, 2 do
      turn_over(KEYS[i], ARGV[i + 3])
      let_go(KEYS[i], KEYS[i + 1], now)
      local counted = redis.call('HMGET', KEYS[i], 'spent', 'reserved')
      local spent = tonumber(counted[1])
      local most = amount > 0 and spent + tonumber(counted[2] or 0) + amount or spent + 1
      if most > tonumber(ARGV[i + 4]) then return {2, (i - 1) / 2} end
    end
    if amount == 0 then return {0, 0} end
    for i = 1, #KEYS, 2 do
      redis.call('ZADD', KEYS[i + 1], now + tonumber(ARGV[3]), ARGV[1])
      redis.call('PEXPIRE', KEYS[i + 1], ${KEPT_MS})
      redis.call('HSET', KEYS[i], 'h:' .. ARGV[1], ARGV[2])
      redis.call('HINCRBY', KEYS[i], 'reserved', ARGV[2])
      redis.call('PEXPIRE', KEYS[i], ${KEPT_MS})
    end
    return {0, 0}`,
  twin: (step, keys, [id, amount, leaseMs, ...terms]) => {
    const budgets = pairs(keys)
    const unknown = budgets.findIndex(([record]) => !step.get(record, 'start'))
    if (unknown !== -1) return [1, unknown]
    const asked = integer(amount)
    for (const [at, [record, held]] of budgets.entries()) {
      turnOver(step, record, integer(terms[2 * at]))
      letGo(step, record, held)
      const spent = count(step.get(record, 'spent'))
      const most = asked > 0 ? spent + count(step.get(record, 'reserved')) + asked : spent + 1
      if (most > integer(terms[2 * at + 1])) return [2, at]
    }
    if (asked === 0) return [0, 0]
    for (const [record, held] of budgets) {
      step.add(held, text(id), step.now + integer(leaseMs))
      step.expire(held, KEPT_MS)
      step.set(record, { [`h:${text(id)}`]: asked })
      step.increment(record, 'reserved', asked)
      step.expire(record, KEPT_MS)
    }
    return [0, 0]
  },
  decode: ([kind, at]) =>
    kind === 0 ? { kind: 'reserved' } : { kind: kind === 1 ? 'unknown' : 'exceeded', at: Number(at) },
}

/** Of each budget: the levels before and after, in percent, and what is spent by now. */
export interface Settled {
  before: number
  after: number
  spent: number
}

/**
 * What a call has cost, once, however often it is told. Where nothing is known of a budget, its ledger will tell.
 * KEYS settled, (record, held)… · ARGV id, amount, (start, limit)…
 */
export const settle: Operation<Settled[]> = {
  name: 'budgets.settle',
  lua: `${letGoLua}
    local function level(spent, limit)
      local reached = 0
      for _, percent in ipairs({${budgetLevels.join(', ')}}) do
        if spent * 100 >= limit * percent then reached = percent end
      end
      return reached
    end
    if redis.call('EXISTS', KEYS[1]) == 1 then return {} end
    redis.call('HSET', KEYS[1], 'd', '', 'v', 1)
    redis.call('PEXPIRE', KEYS[1], ${SETTLED_MS})
    local said, now = {}, now_ms()
    for i = 2, #KEYS, 2 do
      local record, held, start, limit = KEYS[i], KEYS[i + 1], ARGV[i + 1], ARGV[i + 2]
      if redis.call('HEXISTS', record, 'start') == 0 then
        for _ = 1, 3 do said[#said + 1] = 0 end
      else
        turn_over(record, start)
        local reserved = redis.call('HGET', record, 'h:' .. ARGV[1])
        redis.call('ZREM', held, ARGV[1])
        if reserved then
          redis.call('HDEL', record, 'h:' .. ARGV[1])
          redis.call('HINCRBY', record, 'reserved', -tonumber(reserved))
        end
        let_go(record, held, now)
        local told = redis.call('HMGET', record, 'spent', 'limit', 'raised')
        local before = told[2] == limit and tonumber(told[3] or 0) or level(tonumber(told[1]), tonumber(limit))
        local spent = redis.call('HINCRBY', record, 'spent', ARGV[2])
        local after = math.max(before, level(spent, tonumber(limit)))
        redis.call('HSET', record, 'limit', limit, 'raised', after)
        redis.call('PEXPIRE', record, ${KEPT_MS})
        said[#said + 1] = before
        said[#said + 1] = after
        said[#said + 1] = spent
      end
    end
    return said`,
  twin: (step, [settled, ...keys], [id, amount, ...terms]) => {
    if (!settled) throw new RangeError('budgets.settle needs a key')
    if (step.exists(settled)) return []
    step.set(settled, { d: '', v: 1 })
    step.expire(settled, SETTLED_MS)
    return pairs(keys).flatMap(([record, held], at) => {
      const limit = integer(terms[2 * at + 1])
      if (!step.get(record, 'start')) return [0, 0, 0]
      turnOver(step, record, integer(terms[2 * at]))
      step.remove(held, text(id))
      giveBack(step, record, text(id))
      letGo(step, record, held)
      const isToldOf = step.get(record, 'limit')?.toString() === String(limit)
      const before = isToldOf ? count(step.get(record, 'raised')) : levelOf(count(step.get(record, 'spent')), limit)
      const spent = step.increment(record, 'spent', integer(amount))
      const after = Math.max(before, levelOf(spent, limit))
      step.set(record, { limit, raised: after })
      step.expire(record, KEPT_MS)
      return [before, after, spent]
    })
  },
  decode: (reply) => {
    const numbers = reply.map(Number)
    return Array.from({ length: numbers.length / 3 }, (_, at) => {
      const [before = 0, after = 0, spent = 0] = numbers.slice(3 * at)
      return { before, after, spent }
    })
  },
}

/**
 * Begins to count from what the ledger says, where nothing is known.
 * KEYS record · ARGV start, spent
 */
export const begin: Operation<void> = {
  name: 'budgets.begin',
  lua: `
    if redis.call('HSETNX', KEYS[1], 'start', ARGV[1]) == 1 then redis.call('HSET', KEYS[1], 'spent', ARGV[2]) end
    redis.call('PEXPIRE', KEYS[1], ${KEPT_MS})
    return {}`,
  twin: (step, [record], [start, spent]) => {
    if (!record) throw new RangeError('budgets.begin needs a key')
    if (!step.get(record, 'start')) step.set(record, { start: integer(start), spent: integer(spent) })
    step.expire(record, KEPT_MS)
    return []
  },
  decode: () => {},
}

/** KEYS record · ARGV start of the period. Undefined where nothing is known. */
export const readCounter: Operation<{ spent: number; reserved: number } | undefined> = {
  name: 'budgets.read',
  lua: `
    local found = redis.call('HMGET', KEYS[1], 'start', 'spent', 'reserved')
    if not found[1] then return {} end
    return {tonumber(found[1]) < tonumber(ARGV[1]) and 0 or tonumber(found[2]), tonumber(found[3] or 0)}`,
  twin: (step, [record], [start]) => {
    if (!record) throw new RangeError('budgets.read needs a key')
    const known = step.get(record, 'start')
    if (!known) return []
    const isOver = count(known) < integer(start)
    return [isOver ? 0 : count(step.get(record, 'spent')), count(step.get(record, 'reserved'))]
  },
  decode: ([spent, reserved]) =>
    spent === undefined ? undefined : { spent: Number(spent), reserved: Number(reserved) },
}

function levelOf(spent: number, limit: number): number {
  return budgetLevels.findLast((percent) => spent * 100 >= limit * percent) ?? 0
}

function pairs(keys: readonly Key[]): [record: Key, held: Key][] {
  return Array.from({ length: keys.length / 2 }, (_, at) => {
    const [record, held] = keys.slice(2 * at)
    if (!record || !held) throw new RangeError('a budget has two keys')
    return [record, held]
  })
}

function turnOver(step: Step, record: Key, start: number): void {
  if (count(step.get(record, 'start')) < start) step.set(record, { start, spent: 0, raised: 0 })
}

function letGo(step: Step, record: Key, held: Key): void {
  for (const { member } of step.below(held, step.now, LAPSED_AT_ONCE)) {
    step.remove(held, member)
    giveBack(step, record, member)
  }
}

function giveBack(step: Step, record: Key, id: string): void {
  const reserved = step.get(record, `h:${id}`)
  if (!reserved) return
  step.unset(record, `h:${id}`)
  step.increment(record, 'reserved', -count(reserved))
}
