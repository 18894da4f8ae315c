import type { Operation, Reply } from '#platform/kv/kv.ts'

/** A data key at rest, sealed with the master key of this id. */
export interface WrappedKey {
  wrapped: Buffer
  master: string
}

/** As the live state has it. */
export interface KeptKey extends WrappedKey {
  /** An earlier key of the principal was destroyed, and what that had sealed may still be about. */
  afterErasure: boolean
}

/** By then every step that was under way is over, and what was left over has expired. */
const NOTED_MS = 30 * 24 * 60 * 60_000

/**
 * The principal's data key as it is kept, if there is one.
 * KEYS data key
 */
export const peekDataKey: Operation<(KeptKey & { home: string | undefined }) | undefined> = {
  name: 'data-key.peek',
  lua: `return redis.call('HMGET', KEYS[1], 'wrapped', 'master', 'erased', 'home')`,
  twin: (step, [dataKey]) => {
    if (!dataKey) throw new RangeError('data-key.peek needs a key')
    return ['wrapped', 'master', 'erased', 'home'].map((field) => step.get(dataKey, field) ?? null)
  },
  decode: ([wrapped, master, erased, home]) => {
    const kept = decodeKept([wrapped ?? null, master ?? null, erased ?? null])
    // With a home it is a copy of what is there under this id.
    return kept && { ...kept, home: home ? String(home) : undefined }
  },
}

/**
 * The principal's key; the one handed in becomes it when there is none.
 * KEYS data key · ARGV wrapped key, id of its master key
 */
export const obtainDataKey: Operation<KeptKey | undefined> = {
  name: 'data-key.obtain',
  lua: `
    if redis.call('HSETNX', KEYS[1], 'wrapped', ARGV[1]) == 1 then
      redis.call('HSET', KEYS[1], 'master', ARGV[2])
      redis.call('PERSIST', KEYS[1])
    end
    return redis.call('HMGET', KEYS[1], 'wrapped', 'master', 'erased')`,
  twin: (step, [dataKey], [wrapped, master]) => {
    if (!dataKey) throw new RangeError('data-key.obtain needs a key')
    if (!step.get(dataKey, 'wrapped')) {
      step.set(dataKey, { wrapped: wrapped ?? '', master: master ?? '' })
      step.persist(dataKey)
    }
    return ['wrapped', 'master', 'erased'].map((field) => step.get(dataKey, field) ?? null)
  },
  decode: decodeKept,
}

/**
 * Keeps a copy of what is at home elsewhere, in place of whatever is here, unless that very key was destroyed meanwhile.
 * KEYS data key · ARGV id, wrapped key, id of its master key
 */
export const copyDataKey: Operation<KeptKey | undefined> = {
  name: 'data-key.copy',
  lua: `
    if redis.call('HGET', KEYS[1], 'destroyed') == ARGV[1] then return {} end
    redis.call('HSET', KEYS[1], 'home', ARGV[1], 'wrapped', ARGV[2], 'master', ARGV[3])
    redis.call('PERSIST', KEYS[1])
    return {ARGV[2], ARGV[3], redis.call('HGET', KEYS[1], 'erased')}`,
  twin: (step, [dataKey], [home, wrapped, master]) => {
    if (!dataKey || !(wrapped instanceof Uint8Array)) throw new RangeError('data-key.copy needs a key and bytes')
    if (step.get(dataKey, 'destroyed')?.toString() === home) return []
    step.set(dataKey, { home: home ?? '', wrapped, master: master ?? '' })
    step.persist(dataKey)
    return [Buffer.from(wrapped), Buffer.from(String(master)), step.get(dataKey, 'erased') ?? null]
  },
  decode: decodeKept,
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
 * Destroys the key, and what is of no use without it. That it happened stays noted for a while: a step that was under way
 * cannot bring it back, and what it had sealed is known to be erased.
 * KEYS data key, others · ARGV id of the key that must not be copied here again ('' = none)
 */
export const destroyDataKey: Operation<void> = {
  name: 'data-key.destroy',
  lua: `
    redis.call('UNLINK', unpack(KEYS))
    redis.call('HSET', KEYS[1], 'erased', '1', 'destroyed', ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ${NOTED_MS})
    return {}`,
  twin: (step, [dataKey, ...others], [id]) => {
    if (!dataKey) throw new RangeError('data-key.destroy needs a key')
    for (const key of [dataKey, ...others]) step.delete(key)
    step.set(dataKey, { erased: '1', destroyed: id ?? '' })
    step.expire(dataKey, NOTED_MS)
    return []
  },
  decode: () => undefined,
}

function decodeKept([wrapped, master, erased]: Reply): KeptKey | undefined {
  if (!Buffer.isBuffer(wrapped)) return undefined
  return { wrapped, master: String(master), afterErasure: Buffer.isBuffer(erased) }
}
