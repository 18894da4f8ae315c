import { ParleyError } from '#errors.ts'

/** As `conversations/` seals a person's data: with the key of that person, so that it goes with the person. */
export interface OwnersSeal {
  seal(plain: string, place: string): Buffer
  unseal(sealed: Uint8Array, place: string): Buffer
  /**
   * The seal with the person's present key, where this one's was destroyed and nobody had said so here; undefined where it is the
   * present one. It asks the store.
   */
  renewed?(): Promise<OwnersSeal | undefined>
}

interface Renewable<Own> {
  renewed?(): Promise<Own | undefined>
}

/** Of a person who was erased before, also what a key of since has sealed looks erased to the one before it. */
const SHUT: ReadonlySet<string> = new Set(['sealed_unreadable', 'erased'])

/**
 * What `read` makes of the seal. Where that opens nothing and the seal's key turns out to have been destroyed, what it makes of
 * the present one: so that a replica that was not told says the same as those that were.
 */
export async function opening<Own extends Renewable<Own>, Value>(
  seal: Own,
  read: (seal: Own) => Value | Promise<Value>,
): Promise<Value> {
  try {
    return await read(seal)
  } catch (error) {
    const isShut = error instanceof ParleyError && SHUT.has(error.code)
    const present = isShut ? await seal.renewed?.() : undefined
    if (!present) throw error
    return read(present)
  }
}
