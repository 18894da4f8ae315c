import { ParleyError } from '#errors.ts'
import type { Clock } from '../clock.ts'
import { blobLimits, type Lease } from './blob.ts'

const segment = /^[A-Za-z0-9_-](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?$/
const minLeaseMs = 15_000
const maxLeaseMs = 60_000

export function unavailable(message: string, cause?: unknown): ParleyError {
  return new ParleyError('blob_unavailable', { message, cause })
}

export function checkName(name: string): void {
  const segments = name.split('/')
  const isSound = segments.every((each) => segment.test(each) && each.length <= blobLimits.segmentLength)
  if (isSound && name.length <= blobLimits.nameLength) return
  throw new RangeError(
    `The name of a blob has at most ${blobLimits.nameLength} letters, digits, dots, dashes and underscores, in segments of at most ${blobLimits.segmentLength} that neither begin nor end with a dot`,
  )
}

/** The folder that a prefix leads into, and how names in it begin. */
export function splitPrefix(prefix: string): { folder: string; begin: string } {
  const cut = prefix.lastIndexOf('/')
  const parts = { folder: prefix.slice(0, Math.max(cut, 0)), begin: prefix.slice(cut + 1) }
  if (cut >= 0) checkName(parts.folder)
  if (!/^[A-Za-z0-9._-]*$/.test(parts.begin) || parts.begin.startsWith('.')) {
    throw new RangeError('A prefix is the beginning of a name')
  }
  return parts
}

export function checkBytes(bytes: Uint8Array): void {
  if (bytes.length > blobLimits.bytes) throw new RangeError(`A blob has at most ${blobLimits.bytes} bytes`)
}

export function checkMaxBytes(maxBytes: number): void {
  if (Number.isInteger(maxBytes) && maxBytes >= 1 && maxBytes <= blobLimits.bytes) return
  throw new RangeError(`maxBytes is a whole number from 1 to ${blobLimits.bytes}`)
}

export function checkLeaseTime(ttlMs: number): void {
  if (ttlMs >= minLeaseMs && ttlMs <= maxLeaseMs && Number.isInteger(ttlMs)) return
  throw new RangeError(`A lease is for ${minLeaseMs} to ${maxLeaseMs} ms`)
}

/**
 * A lease as its holder may believe in it: counted from before it was asked for, so that it never ends later here than in the store,
 * and once lost it stays lost.
 */
export function leaseHeld(options: {
  clock: Clock
  ttlMs: number
  /** When it was asked for, by the monotonic clock. */
  askedAt: number
  renew: () => Promise<boolean>
  release: () => Promise<void>
}): Lease {
  const { clock, ttlMs, renew, release } = options
  let endsAt = options.askedAt + ttlMs
  return {
    renew: async () => {
      const askedAt = clock.monotonic()
      if (askedAt >= endsAt) return false
      const isHeld = await renew()
      // Given up, or lost to a renewal beside this one, while it was asked for.
      if (endsAt === Number.NEGATIVE_INFINITY) return false
      endsAt = isHeld ? askedAt + ttlMs : Number.NEGATIVE_INFINITY
      return isHeld
    },
    release: async () => {
      if (clock.monotonic() >= endsAt) return
      endsAt = Number.NEGATIVE_INFINITY
      await release().catch(() => {})
    },
  }
}
