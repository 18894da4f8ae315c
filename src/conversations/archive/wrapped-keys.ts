import { ParleyError } from '#errors.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import type { MasterKeys } from '../master-keys.ts'
import type { WrappedKey } from '../store/data-key.ts'
import { createSeal, type Seal } from '../vault.ts'
import { peekDataKey } from './peek-data-key.ts'

/** The wrapped data keys of what the archive holds: as the live state has them, so that either can be read alone. */
export class WrappedKeys {
  readonly #kv: Kv
  readonly #masterKeys: MasterKeys
  /** A seal is known for a short while only, and so is what belongs to it. */
  readonly #known = new WeakMap<Seal, Promise<WrappedKey | undefined>>()

  constructor(kv: Kv, masterKeys: MasterKeys) {
    this.#kv = kv
    this.#masterKeys = masterKeys
  }

  /** The key behind `seal`; none when the owner has another one by now, or none any more. */
  of(owner: Owner, seal: Seal): Promise<WrappedKey | undefined> {
    const known = this.#known.get(seal)
    if (known) return known
    const found = this.#find(owner, seal)
    this.#known.set(seal, found)
    found.catch(() => this.#known.delete(seal))
    return found
  }

  /** Throws sealed_unreadable. */
  open(owner: Owner, { wrapped, master }: WrappedKey): Seal {
    const masterKey = this.#masterKeys.find(master)
    if (!masterKey) throw new ParleyError('sealed_unreadable')
    return createSeal(masterKey.seal.unseal(wrapped, `${dataKeyOf(owner)}@${master}`))
  }

  async #find(owner: Owner, seal: Seal): Promise<WrappedKey | undefined> {
    const kept = await this.#kv.run(peekDataKey, [dataKeyOf(owner)], [])
    return kept && keyIdOf(this.open(owner, kept)) === keyIdOf(seal) ? kept : undefined
  }
}

/** Tells the data keys of one owner apart. */
export function keyIdOf(seal: Seal): string {
  return seal.digest('the key of finished turns')
}

function dataKeyOf(owner: Owner): Key {
  return key(partitionOf(owner), 'data-key')
}
