import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'
import { ParleyError } from '#errors.ts'

/**
 * AES-256-GCM with the data key of one principal. `place` names where the bytes are kept (a key and a position) and is
 * authenticated, so that nothing sealed can be moved elsewhere.
 */
export interface Seal {
  seal(plain: string | Uint8Array, place: string): Buffer
  /** Throws `ParleyError` sealed_unreadable. */
  unseal(sealed: Uint8Array, place: string): Buffer
}

const ALGORITHM = 'aes-256-gcm'
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Random bytes are drawn for many nonces at once: a system call each would cost as much as the cipher. */
const NONCES_AT_ONCE = 512

const nonces = Buffer.alloc(NONCE_BYTES * NONCES_AT_ONCE)
let nonceAt = nonces.length

function nextNonce(): Buffer {
  if (nonceAt === nonces.length) {
    randomFillSync(nonces)
    nonceAt = 0
  }
  nonceAt += NONCE_BYTES
  return nonces.subarray(nonceAt - NONCE_BYTES, nonceAt)
}

/** Sealed bytes are: version (1), nonce (12), ciphertext, tag (16). `key` is 32 bytes. */
export function createSeal(key: Uint8Array): Seal {
  return {
    seal(plain, place) {
      const nonce = nextNonce()
      const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(place))
      const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain)
      cipher.final()
      const sealed = Buffer.allocUnsafe(1 + NONCE_BYTES + body.length + TAG_BYTES)
      sealed[0] = VERSION
      nonce.copy(sealed, 1)
      body.copy(sealed, 1 + NONCE_BYTES)
      cipher.getAuthTag().copy(sealed, 1 + NONCE_BYTES + body.length)
      return sealed
    },
    unseal(sealed, place) {
      if (sealed.length < 1 + NONCE_BYTES + TAG_BYTES || sealed[0] !== VERSION)
        throw new ParleyError('sealed_unreadable')
      try {
        const nonce = sealed.subarray(1, 1 + NONCE_BYTES)
        const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
        decipher.setAAD(Buffer.from(place))
        decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
        const body = decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.length - TAG_BYTES))
        decipher.final()
        return body
      } catch (error) {
        throw new ParleyError('sealed_unreadable', { cause: error })
      }
    },
  }
}
