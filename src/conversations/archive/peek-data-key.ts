import type { Operation } from '#platform/kv/kv.ts'
import type { WrappedKey } from '../store/data-key.ts'

/**
 * The principal's data key as it is kept, if there is one.
 * KEYS data key
 */
export const peekDataKey: Operation<WrappedKey | undefined> = {
  name: 'data-key.peek',
  lua: `return redis.call('HMGET', KEYS[1], 'wrapped', 'master')`,
  twin: (step, [dataKey]) => {
    if (!dataKey) throw new RangeError('data-key.peek needs a key')
    return [step.get(dataKey, 'wrapped') ?? null, step.get(dataKey, 'master') ?? null]
  },
  decode: ([wrapped, master]) => (Buffer.isBuffer(wrapped) ? { wrapped, master: String(master) } : undefined),
}
