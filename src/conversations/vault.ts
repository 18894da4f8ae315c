/**
 * AES-256-GCM with the data key of one principal. `place` names where the bytes are kept (a key and a position) and is
 * authenticated, so that nothing sealed can be moved elsewhere.
 */
export interface Seal {
  seal(plain: string | Uint8Array, place: string): Buffer
  /** Throws `ParleyError` sealed_unreadable. */
  unseal(sealed: Uint8Array, place: string): Buffer
}
