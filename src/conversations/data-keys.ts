import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import type { Clock } from '#platform/clock.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import type { MasterKeys } from './master-keys.ts'
import { destroyDataKey, obtainDataKey, rewrapDataKey, type WrappedKey } from './store/data-key.ts'
import { createSeal, type Seal } from './vault.ts'

export interface DataKeysOptions {
  kv: Kv
  masterKeys: MasterKeys
  clock: Clock
}

const CACHED_KEYS = 10_000
/** A replica that misses the signal knows a destroyed key for so long. */
const CACHED_MS = 30_000
const KEY_BYTES = 32
/** Carries the partitions whose keys were destroyed. */
const destroyed = key('data-keys', 'destroyed')

/** The data keys of all principals: made at first need, kept wrapped, known unwrapped for a short while. */
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

  /** The seal with the principal's key. Rejects with sealed_unreadable when that cannot be unwrapped. */
  seal(owner: Owner): Promise<Seal> {
    const partition = partitionOf(owner)
    const known = this.#seals.get(partition)
    if (known) return known
    void this.listen()
    const obtained = this.#obtain(dataKeyIn(partition))
    this.#seals.set(partition, obtained)
    obtained.catch(() => {
      if (this.#seals.peek(partition) === obtained) this.#seals.delete(partition)
    })
    return obtained
  }

  /** In one step with `others` of the principal's keys, which are of no use without it. */
  async destroy(owner: Owner, others: readonly Key[]): Promise<void> {
    const { kv } = this.#options
    const partition = partitionOf(owner)
    const done = kv.run(destroyDataKey, [dataKeyIn(partition), ...others], [])
    // From this tick on, whoever asks asks the store, behind this step.
    this.#seals.delete(partition)
    await done
    await kv.signal(destroyed, partition)
  }

  /** Begins to hear of keys that other replicas destroy; tried again with the next key when it fails. */
  listen(): Promise<void> {
    this.#listening ??= this.#options.kv
      .listen(destroyed, (partition) => this.#seals.delete(partition))
      .then(
        () => {},
        () => {
          this.#listening = undefined
        },
      )
    return this.#listening
  }

  async #obtain(at: Key): Promise<Seal> {
    const { kv, masterKeys } = this.#options
    const { current } = masterKeys
    const kept = await kv.run(obtainDataKey, [at], [wrap(masterKeys, randomBytes(KEY_BYTES), at), current.id])
    if (!kept) throw new ParleyError('sealed_unreadable')
    const dataKey = this.#unwrap(kept, at)
    if (kept.master !== current.id) {
      await kv.run(rewrapDataKey, [at], [kept.wrapped, wrap(masterKeys, dataKey, at), current.id])
    }
    return createSeal(dataKey)
  }

  #unwrap({ wrapped, master }: WrappedKey, at: Key): Buffer {
    const masterKey = this.#options.masterKeys.find(master)
    if (masterKey) return masterKey.seal.unseal(wrapped, placeOf(at, master))
    throw new ParleyError('sealed_unreadable', { message: 'The master key that wraps this data is not known.' })
  }
}

function wrap({ current }: MasterKeys, dataKey: Buffer, at: Key): Buffer {
  return current.seal.seal(dataKey, placeOf(at, current.id))
}

function placeOf(at: Key, master: string): string {
  return `${at}@${master}`
}

function dataKeyIn(partition: string): Key {
  return key(partition, 'data-key')
}
