import type { Operation } from '#platform/kv/kv.ts'

/** A data key at rest, sealed with the master key of this id. */
export interface WrappedKey {
  wrapped: Buffer
  master: string
}

/**
 * The principal's key; the one handed in becomes it when there is none.
 * KEYS data key · ARGV wrapped key, id of its master key
 */
export const obtainDataKey: Operation<WrappedKey | undefined> = {
  name: 'data-key.obtain',
  lua: `
    if redis.call('HSETNX', KEYS[1], 'wrapped', ARGV[1]) == 1 then redis.call('HSET', KEYS[1], 'master', ARGV[2]) end
    return redis.call('HMGET', KEYS[1], 'wrapped', 'master')`,
  twin: (step, [dataKey], [wrapped, master]) => {
    if (!dataKey) throw new RangeError('data-key.obtain needs a key')
    if (!step.get(dataKey, 'wrapped')) step.set(dataKey, { wrapped: wrapped ?? '', master: master ?? '' })
    return [step.get(dataKey, 'wrapped') ?? null, step.get(dataKey, 'master') ?? null]
  },
  decode: ([wrapped, master]) => (Buffer.isBuffer(wrapped) ? { wrapped, master: String(master) } : undefined),
}

/**
 * Puts the same key in another wrapping, unless it was destroyed or wrapped anew meanwhile.
 * KEYS data key · ARGV wrapped key as read, wrapped key to be, id of its master key
 */
export const rewrapDataKey: Operation<void> = {
  name: 'data-key.rewrap',
  lua: `
    if redis.call('HGET', KEYS[1], 'wrapped') == ARGV[1] then
      redis.call('HSET', KEYS[1], 'wrapped', ARGV[2], 'master', ARGV[3])
    end
    return {}`,
  twin: (step, [dataKey], [seen, wrapped, master]) => {
    if (!dataKey || !(seen instanceof Uint8Array)) throw new RangeError('data-key.rewrap needs a key and bytes')
    if (step.get(dataKey, 'wrapped')?.equals(seen)) step.set(dataKey, { wrapped: wrapped ?? '', master: master ?? '' })
    return []
  },
  decode: () => undefined,
}

/**
 * Destroys the key, and what is of no use without it.
 * KEYS data key, others
 */
export const destroyDataKey: Operation<void> = {
  name: 'data-key.destroy',
  lua: `redis.call('UNLINK', unpack(KEYS)) return {}`,
  twin: (step, keys) => {
    for (const key of keys) step.delete(key)
    return []
  },
  decode: () => undefined,
}
