import { isIPv6 } from 'node:net'
import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import type { Clock } from '#platform/clock.ts'

const MINUTE_MS = 60_000
const ADDRESSES = 50_000

/**
 * Bounds what one address may ask of this replica before it is known who calls: a token bucket each, of the addresses that were
 * heard of last. Who has IPv6 has a whole /64 of addresses, which count as one. Throws rate_limited.
 */
export function createAddressLimit(perMinute: number, clock: Clock): (address: string) => void {
  const takesMs = MINUTE_MS / perMinute
  /** When the bucket of an address will be full again, monotonic ms. */
  const full = new LRUCache<string, number>({ max: ADDRESSES })
  return (address) => {
    const now = clock.monotonic()
    const whose = networkOf(address)
    const at = Math.max(now, full.get(whose) ?? 0) + takesMs
    const overMs = at - now - MINUTE_MS
    if (overMs > 1e-6) {
      throw new ParleyError('rate_limited', { message: 'Too many requests from this address.', retryAfterMs: overMs })
    }
    full.set(whose, at)
  }
}

/** The address, or the /64 that it is in. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped?.[1]) return mapped[1]
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? []
  const before = head.split(':').filter(Boolean)
  const after = tail?.split(':').filter(Boolean) ?? []
  const groups = [...before, ...Array(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after]
  return groups.slice(0, 4).join(':')
}
