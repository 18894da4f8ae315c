import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { dataKeyKey } from './keys.ts'
import type { MasterKeys } from './master-keys.ts'
import { createSeal, type Seal } from './vault.ts'

/** A key destroyed on another replica is forgotten here after this long at the latest. */
const CACHED_MS = 30_000
const CACHED_KEYS = 50_000

/**
 * One random data key per principal, kept wrapped by a master key: `{ id, wrapped }`. Whoever destroys it erases everything
 * that was sealed with it, wherever copies of that may be.
 */
export class DataKeys {
  readonly #kv: Kv
  readonly #masters: MasterKeys
  readonly #seals = new LRUCache<string, Seal>({ max: CACHED_KEYS, ttl: CACHED_MS })
  readonly #loading = new Map<string, Promise<Seal>>()

  constructor(kv: Kv, masters: MasterKeys) {
    this.#kv = kv
    this.#masters = masters
  }

  /** Loaded once for all who ask at the same time. */
  async seal(owner: Owner): Promise<Seal> {
    const partition = partitionOf(owner)
    const cached = this.#seals.get(partition)
    if (cached) return cached
    const loading = this.#loading.get(partition) ?? this.#load(owner, partition)
    this.#loading.set(partition, loading)
    try {
      return await loading
    } finally {
      this.#loading.delete(partition)
    }
  }

  async destroy(owner: Owner): Promise<void> {
    await this.#kv.delete(dataKeyKey(owner))
    this.#seals.delete(partitionOf(owner))
  }

  async #load(owner: Owner, partition: string): Promise<Seal> {
    const at = dataKeyKey(owner)
    const stored = (await this.#kv.get(at)) ?? (await this.#create(owner))
    const { id, dataKey } = this.#unwrap(stored.value, at)
    if (id !== this.#masters.current.id) await this.#kv.put(at, this.#wrap(dataKey, at), { ifVersion: stored.version })
    const seal = createSeal(dataKey)
    this.#seals.set(partition, seal)
    return seal
  }

  async #create(owner: Owner): Promise<{ value: Buffer; version: number }> {
    const at = dataKeyKey(owner)
    const value = this.#wrap(randomBytes(32), at)
    const version = await this.#kv.put(at, value, { ifVersion: 0 })
    if (version !== undefined) return { value, version }
    const winner = await this.#kv.get(at)
    if (!winner) throw new ParleyError('sealed_unreadable')
    return winner
  }

  #wrap(dataKey: Buffer, at: string): Buffer {
    const { id, key } = this.#masters.current
    const wrapped = createSeal(key).seal(dataKey, `${at}@${id}`)
    return Buffer.from(JSON.stringify({ id, wrapped: wrapped.toString('base64') }))
  }

  #unwrap(value: Buffer, at: string): { id: string; dataKey: Buffer } {
    const { id, wrapped }: { id: string; wrapped: string } = JSON.parse(value.toString())
    const master = this.#masters.find(id)
    if (!master)
      throw new ParleyError('sealed_unreadable', { message: 'The master key that wraps this data is not known.' })
    return { id, dataKey: createSeal(master).unseal(Buffer.from(wrapped, 'base64'), `${at}@${id}`) }
  }
}
