import type { Operation } from '#platform/kv/kv.ts'
import { text } from './arguments.ts'

/** KEYS open · ARGV limit. Trials whose time is over, by the store's clock. */
export const dueTrials: Operation<string[]> = {
  name: 'rollout.due-trials',
  lua: `return redis.call('ZRANGE', KEYS[1], '-inf', now_ms(), 'BYSCORE', 'LIMIT', 0, ARGV[1])`,
  twin: (step, [open], [limit]) => {
    if (!open) throw new RangeError('rollout.due-trials needs a key')
    return step.below(open, step.now, Number(limit)).map(({ member }) => Buffer.from(member))
  },
  decode: (reply) => reply.map(String),
}

/**
 * Closes trials, each once, whoever does it: what their units are found bad for from now on is no error of theirs.
 * KEYS counts, open, units… · ARGV for each unit: trial, step
 */
export const closeTrials: Operation<void> = {
  name: 'rollout.close-trials',
  lua: `
    for k = 3, #KEYS do
      local at = 2 * (k - 3)
      if redis.call('ZREM', KEYS[2], ARGV[at + 1]) == 1 then
        redis.call('HINCRBY', KEYS[1], 'closed:' .. ARGV[at + 2], 1)
        if redis.call('HGET', KEYS[k], 'turn-error') then
          redis.call('HINCRBY', KEYS[1], 'errors:' .. ARGV[at + 2], 1)
        end
      end
    end
    return {}`,
  twin: (step, [counts, open, ...units], args) => {
    if (!counts || !open) throw new RangeError('rollout.close-trials needs two keys')
    units.forEach((unit, n) => {
      const [trial, at] = args.slice(2 * n).map(text)
      if (trial === undefined || !step.remove(open, trial)) return
      step.increment(counts, `closed:${at}`, 1)
      if (step.get(unit, 'turn-error')) step.increment(counts, `errors:${at}`, 1)
    })
    return []
  },
  decode: () => undefined,
}
