import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'
import { ParleyError } from '#errors.ts'

/**
 * AES-256-GCM with the data key of one principal. `place` names where the bytes are kept (a key and a position) and is
 * authenticated, so that nothing sealed can be moved elsewhere.
 */
export interface Seal {
  seal(plain: string | Uint8Array, place: string): Buffer
  /** As `seal`, but the same for the same text and place: for what has to be found again, and may be seen to be the same. */
  sealAlike(plain: string, place: string): Buffer
  /** Throws `ParleyError` erased where an earlier key of the owner was destroyed, else sealed_unreadable. */
  unseal(sealed: Uint8Array, place: string): Buffer
  /** The same for the same text, and of no use for guessing it without the key. */
  digest(text: string): string
  /** As an `OwnersSeal` has it. */
  renewed?(): Promise<Seal | undefined>
}

const ALGORITHM = 'aes-256-gcm'
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + NONCE_BYTES

/** Asking the system for 12 bytes at a time would cost as much as the sealing. */
const nonces = Buffer.alloc(NONCE_BYTES * 1024)
let nextNonceAt = nonces.length

/**
 * Seals as version (1 byte), nonce (12), ciphertext, tag (16). `key` has 32 bytes. `afterErasure`: an earlier key of its
 * owner was destroyed, so what this one does not open was erased with that.
 */
export function createSeal(key: Uint8Array, { afterErasure = false } = {}): Seal {
  const secret = createSecretKey(key)
  const nonceKey = derivedOnce(key, 'nonce')
  const digestKey = derivedOnce(key, 'digest')

  function sealWith(nonce: Buffer, plain: string | Uint8Array, place: string): Buffer {
    const cipher = createCipheriv(ALGORITHM, secret, nonce)
    cipher.setAAD(Buffer.from(place))
    const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain)
    cipher.final()
    const sealed = Buffer.allocUnsafe(HEAD_BYTES + body.length + TAG_BYTES)
    sealed[0] = VERSION
    nonce.copy(sealed, 1)
    body.copy(sealed, HEAD_BYTES)
    cipher.getAuthTag().copy(sealed, HEAD_BYTES + body.length)
    return sealed
  }

  return {
    seal: (plain, place) => sealWith(takeNonce(), plain, place),
    // A nonce drawn from the text: never the same for another, which is all that GCM asks of it.
    sealAlike: (plain, place) =>
      sealWith(hmac(nonceKey(), `${place}\n${plain}`).subarray(0, NONCE_BYTES), plain, place),
    unseal(sealed, place) {
      if (sealed[0] !== VERSION || sealed.length < HEAD_BYTES + TAG_BYTES) throw new ParleyError('sealed_unreadable')
      try {
        const decipher = createDecipheriv(ALGORITHM, secret, sealed.subarray(1, HEAD_BYTES))
        decipher.setAAD(Buffer.from(place))
        decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
        const plain = decipher.update(sealed.subarray(HEAD_BYTES, -TAG_BYTES))
        decipher.final()
        return plain
      } catch (cause) {
        throw new ParleyError(afterErasure ? 'erased' : 'sealed_unreadable', { cause })
      }
    },
    digest: (text) => hmac(digestKey(), text).toString('base64url'),
  }
}

/** Deriving costs more than all that is done with what was derived. */
function derivedOnce(key: Uint8Array, purpose: string): () => KeyObject {
  let derived: KeyObject | undefined
  return () => {
    derived ??= createSecretKey(new Uint8Array(hkdfSync('sha256', key, '', purpose, 32)))
    return derived
  }
}

function hmac(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function takeNonce(): Buffer {
  if (nextNonceAt === nonces.length) {
    randomFillSync(nonces)
    nextNonceAt = 0
  }
  nextNonceAt += NONCE_BYTES
  return nonces.subarray(nextNonceAt - NONCE_BYTES, nextNonceAt)
}
