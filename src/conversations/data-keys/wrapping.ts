import { ParleyError } from '#errors.ts'
import type { Owner } from '#identity/principal.ts'
import { partitionOf } from '#identity/principal.ts'
import { type Key, key } from '#platform/kv/kv.ts'
import type { MasterKeys } from '../master-keys.ts'
import type { WrappedKey } from '../store/data-key.ts'

/** Where the live state has an owner's data key; wrapped, it is bound to this place wherever it is kept. */
export function dataKeyOf(owner: Owner): Key {
  return key(partitionOf(owner), 'data-key')
}

export function wrap({ current }: MasterKeys, dataKey: Uint8Array, at: Key): WrappedKey {
  return { wrapped: current.seal.seal(dataKey, placeOf(at, current.id)), master: current.id }
}

/** Throws sealed_unreadable. */
export function unwrap(masterKeys: MasterKeys, { wrapped, master }: WrappedKey, at: Key): Buffer {
  const masterKey = masterKeys.find(master)
  if (masterKey) return masterKey.seal.unseal(wrapped, placeOf(at, master))
  throw new ParleyError('sealed_unreadable', { message: 'The master key that wraps this data is not known.' })
}

function placeOf(at: Key, master: string): string {
  return `${at}@${master}`
}
