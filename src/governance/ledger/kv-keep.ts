import { hash } from 'node:crypto'
import { type Key, key, type Operation } from '#platform/kv/kv.ts'

export interface LedgerKeys {
  /** Which months there are, ordered. */
  months: Key
  /** The turns of a month (`YYYY-MM`), in the order in which they were kept. */
  month(name: string): Key
  /** The entries of a turn. */
  turn(turn: string): Key
}

export function ledgerKeys(tenant: string): LedgerKeys {
  const partition = `ledger-${hash('sha256', tenant, 'base64url').slice(0, 22)}`
  return {
    months: key(partition, 'months'),
    month: (name) => key(partition, `month:${name}`),
    turn: (turn) => key(partition, `turn:${turn}`),
  }
}

/**
 * Keeps the entries of a turn, once.
 * KEYS months, month, turn · ARGV month, its number, turn, entries, ms until the month is past its time
 */
export const keepBill: Operation<void> = {
  name: 'ledger.keep',
  patient: true,
  lua: `
    if redis.call('EXISTS', KEYS[3]) == 1 then return {} end
    redis.call('HSET', KEYS[3], 'd', ARGV[4], 'v', 1)
    log_append(KEYS[2], log_top(KEYS[2]) + 1, ARGV[3])
    redis.call('PEXPIRE', KEYS[2], ARGV[5])
    redis.call('PEXPIRE', KEYS[3], ARGV[5])
    redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
    return {}`,
  twin: (step, [months, month, turn], [name, number, id, entries, ttlMs]) => {
    if (!months || !month || !turn) throw new RangeError('ledger.keep needs three keys')
    if (step.exists(turn)) return []
    step.set(turn, { d: entries ?? '', v: 1 })
    step.append(month, step.top(month) + 1, Buffer.from(String(id)))
    step.expire(month, Number(ttlMs))
    step.expire(turn, Number(ttlMs))
    step.add(months, String(name), Number(number))
    return []
  },
  decode: () => undefined,
}

const MOST_MONTHS = 1200

/** KEYS months */
export const listMonths: Operation<string[]> = {
  name: 'ledger.months',
  lua: `return redis.call('ZRANGE', KEYS[1], 0, ${MOST_MONTHS} - 1)`,
  twin: (step, [months]) => {
    if (!months) throw new RangeError('ledger.months needs a key')
    return step.below(months, Number.MAX_SAFE_INTEGER, MOST_MONTHS).map(({ member }) => Buffer.from(member))
  },
  decode: (reply) => reply.map(String),
}
