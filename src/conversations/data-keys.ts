import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import type { Clock } from '#platform/clock.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import { keyIdOf } from './data-keys/key-id.ts'
import type { KeySafe, KnownKey } from './data-keys/key-safe.ts'
import { dataKeyOf, unwrap, wrap } from './data-keys/wrapping.ts'
import type { MasterKeys } from './master-keys.ts'
import {
  copyDataKey,
  destroyDataKey,
  type KeptKey,
  obtainDataKey,
  peekDataKey,
  rewrapDataKey,
  type WrappedKey,
} from './store/data-key.ts'
import { createSeal, type Seal } from './vault.ts'

export interface DataKeysOptions {
  kv: Kv
  masterKeys: MasterKeys
  clock: Clock
  /** Where the keys are at home; without it that is `kv`. */
  safe?: KeySafe | undefined
}

const CACHED_KEYS = 10_000
/** A replica that misses the signal unawares knows a destroyed key for so long, unless it comes across what that does not open. */
const CACHED_MS = 30_000
const KEY_BYTES = 32
/** A key that was destroyed while it was being copied makes room for another; that it goes on like that is not to be expected. */
const TRIES = 3
/** Carries the partitions whose keys were destroyed. */
const destroyed = key('data-keys', 'destroyed')

/**
 * The data keys of all principals: made at first need, kept wrapped, known unwrapped for a short while. With a safe, a key is
 * there before anything is sealed with it, and `kv` has a copy, which is all that a turn asks for.
 */
export class DataKeys {
  readonly #options: DataKeysOptions
  readonly #seals: LRUCache<string, Promise<Seal>>
  #listening: Promise<void> | undefined

  constructor(options: DataKeysOptions) {
    this.#options = options
    // Where its time is 0, the cache takes an entry for one without a lifetime.
    const perf = { now: () => options.clock.monotonic() + 1 }
    this.#seals = new LRUCache({ max: CACHED_KEYS, ttl: CACHED_MS, ttlResolution: 0, perf })
  }

  /**
   * The seal with the principal's key; of what an earlier one sealed that was destroyed, it says that it was erased. Rejects
   * with sealed_unreadable when the key cannot be unwrapped, and with database_unavailable when only the safe could say what it
   * is.
   */
  seal(owner: Owner): Promise<Seal> {
    const partition = partitionOf(owner)
    const known = this.#seals.get(partition)
    if (known) return known
    void this.listen()
    const obtained = this.#obtain(owner)
    this.#seals.set(partition, obtained)
    obtained.catch(() => {
      if (this.#seals.peek(partition) === obtained) this.#seals.delete(partition)
    })
    return obtained
  }

  /**
   * First in the safe, from where it could come back; then here, in one step with `others` of the principal's keys, which are
   * of no use without it. Safe to repeat.
   */
  async destroy(owner: Owner, others: readonly Key[]): Promise<void> {
    const { kv, safe } = this.#options
    const partition = partitionOf(owner)
    const refused = safe && (await this.#destroyAtHome(safe, owner))
    const done = kv.run(destroyDataKey, [dataKeyOf(owner), ...others], [refused ?? ''])
    // From this tick on, whoever asks asks the store, behind this step.
    this.#seals.delete(partition)
    await done
    await kv.signal(destroyed, partition)
  }

  /** Whether there is one, here or at home. */
  async has(owner: Owner): Promise<boolean> {
    const { kv, safe } = this.#options
    const [copy, present] = await Promise.all([kv.run(peekDataKey, [dataKeyOf(owner)], []), safe?.present(owner)])
    return (copy ?? present) !== undefined
  }

  /** Begins to hear of keys that other replicas destroy; tried again with the next key when it fails. Of a gap in it no key is left. */
  listen(): Promise<void> {
    this.#listening ??= this.#options.kv
      .listen(
        destroyed,
        (partition) => this.#seals.delete(partition),
        () => this.#seals.clear(),
      )
      .then(
        () => {},
        () => {
          this.#listening = undefined
        },
      )
    return this.#listening
  }

  async #obtain(owner: Owner): Promise<Seal> {
    const { kv, masterKeys, safe } = this.#options
    const at = dataKeyOf(owner)
    if (safe) return this.#obtainWith(safe, owner, at)
    const { wrapped, master } = wrap(masterKeys, randomBytes(KEY_BYTES), at)
    const kept = await kv.run(obtainDataKey, [at], [wrapped, master])
    if (!kept) throw new ParleyError('sealed_unreadable')
    return this.#open(owner, kept)
  }

  async #obtainWith(safe: KeySafe, owner: Owner, at: Key): Promise<Seal> {
    const { kv, masterKeys } = this.#options
    for (let tries = 0; tries < TRIES; tries++) {
      const found = await kv.run(peekDataKey, [at], [])
      // At home it may be in another wrapping by now.
      const isStale = found?.home !== undefined && !masterKeys.find(found.master)
      const copy = isStale ? undefined : found
      if (copy?.home) return this.#open(owner, copy, copy.home)
      try {
        const { id, wrapped, master } = await this.#settle(safe, owner, at, copy)
        const kept = await kv.run(copyDataKey, [at], [id, wrapped, master])
        if (kept) return this.#open(owner, kept, id)
      } catch (error) {
        // Of before there was a home, and on its way there: until then it has to do.
        if (copy && isUnavailable(error)) return this.#open(owner, copy)
        throw error
      }
    }
    throw new ParleyError('sealed_unreadable')
  }

  async #settle(safe: KeySafe, owner: Owner, at: Key, copy: WrappedKey | undefined): Promise<KnownKey> {
    const { masterKeys } = this.#options
    const present = copy && (await safe.settle(owner, known(copy, unwrap(masterKeys, copy, at))))
    if (present) return present
    const dataKey = randomBytes(KEY_BYTES)
    const settled = await safe.settle(owner, known(wrap(masterKeys, dataKey, at), dataKey))
    if (!settled) throw new ParleyError('sealed_unreadable')
    return settled
  }

  /** With the safe first: what only a copy wraps with the master key of today would be lost with that copy. */
  async #open(owner: Owner, kept: KeptKey, home?: string): Promise<Seal> {
    const { kv, masterKeys, safe } = this.#options
    const at = dataKeyOf(owner)
    const dataKey = unwrap(masterKeys, kept, at)
    if (kept.master !== masterKeys.current.id) {
      const { wrapped, master } = wrap(masterKeys, dataKey, at)
      try {
        if (safe && home !== undefined) await safe.rewrap(owner, { id: home, wrapped, master })
        await kv.run(rewrapDataKey, [at], [kept.wrapped, wrapped, master])
      } catch (error) {
        // Next time.
        if (!isUnavailable(error)) throw error
      }
    }
    const seal = createSeal(dataKey, kept)
    return { ...seal, renewed: () => this.#renewed(owner, seal) }
  }

  /** Asks for the owner's key anew, where `stale` is the one that is known. */
  async #renewed(owner: Owner, stale: Seal): Promise<Seal | undefined> {
    const partition = partitionOf(owner)
    const id = keyIdOf(stale)
    const known = this.#seals.peek(partition)
    const isStale = (seal: Seal) => keyIdOf(seal) === id
    if (known && (await known.then(isStale, () => false)) && this.#seals.peek(partition) === known) {
      this.#seals.delete(partition)
    }
    const present = await this.seal(owner)
    return isStale(present) ? undefined : present
  }

  /** Resolves with the id of what must not be copied again. */
  async #destroyAtHome(safe: KeySafe, owner: Owner): Promise<string | undefined> {
    const { kv, masterKeys } = this.#options
    const at = dataKeyOf(owner)
    const [copy, present] = await Promise.all([kv.run(peekDataKey, [at], []), safe.present(owner)])
    const id = copy && (copy.home ?? idIn(masterKeys, copy, at))
    await safe.destroy(owner, id)
    return present?.id ?? id
  }
}

function known(key: WrappedKey, dataKey: Uint8Array): KnownKey {
  return { wrapped: key.wrapped, master: key.master, id: keyIdOf(createSeal(dataKey)) }
}

function idIn(masterKeys: MasterKeys, copy: WrappedKey, at: Key): string | undefined {
  try {
    return keyIdOf(createSeal(unwrap(masterKeys, copy, at)))
  } catch {
    // Nobody can open it, us included.
    return undefined
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ParleyError && error.code === 'database_unavailable'
}
