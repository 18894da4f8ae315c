import type { Operation } from '#platform/kv/kv.ts'
import { integer, text } from './reply.ts'

/**
 * The index of turns that somebody must look after by a certain time, sharded so that a cluster spreads it. A sweeper of any
 * replica reads what is due; who renews a lease does not touch the index, the sweeper moves the entry on.
 */

/** KEYS index · ARGV member, due in ms from now. */
export const noteDeadline: Operation<void> = {
  name: 'deadline.note',
  lua: `redis.call('ZADD', KEYS[1], now_ms() + tonumber(ARGV[2]), ARGV[1]) return {}`,
  twin: (step, [index], [member, inMs]) => {
    if (!index) throw new RangeError('deadline.note needs a key')
    step.add(index, text(member), step.now + integer(inMs))
    return []
  },
  decode: () => undefined,
}

/** KEYS index · ARGV members. */
export const dropDeadline: Operation<void> = {
  name: 'deadline.drop',
  lua: `redis.call('ZREM', KEYS[1], unpack(ARGV)) return {}`,
  twin: (step, [index], members) => {
    if (!index) throw new RangeError('deadline.drop needs a key')
    for (const member of members) step.remove(index, text(member))
    return []
  },
  decode: () => undefined,
}

/** KEYS index · ARGV limit. The members that are due. */
export const dueDeadlines: Operation<string[]> = {
  name: 'deadline.due',
  lua: `return redis.call('ZRANGE', KEYS[1], '-inf', now_ms(), 'BYSCORE', 'LIMIT', 0, ARGV[1])`,
  twin: (step, [index], [limit]) => {
    if (!index) throw new RangeError('deadline.due needs a key')
    return step.below(index, step.now, integer(limit)).map(({ member }) => Buffer.from(member))
  },
  decode: (reply) => reply.map((member) => String(member)),
}
