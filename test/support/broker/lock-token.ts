import { randomBytes } from 'node:crypto'

/** 16 bytes in the order of a UUID, as `$management` has them. */
export function newLockToken(): Buffer {
  return randomBytes(16)
}

/** As a delivery tag: the order of a .NET GUID, whose first three groups are little-endian. */
export function toDeliveryTag(token: Buffer): Buffer {
  const tag = Buffer.from(token)
  tag.subarray(0, 4).reverse()
  tag.subarray(4, 6).reverse()
  tag.subarray(6, 8).reverse()
  return tag
}
