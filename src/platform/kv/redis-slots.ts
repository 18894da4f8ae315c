import type { Key } from './kv.ts'

export const slotCount = 16384

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

/** The slot of a key: CRC-16/XMODEM of its partition (Redis Cluster Specification, "Hash tags"). */
export function slotOf(key: Key): number {
  const end = key.indexOf('}')
  let crc = 0
  for (let at = 1; at < end; at++) crc = ((crc << 8) ^ (table[((crc >> 8) ^ key.charCodeAt(at)) & 0xff] ?? 0)) & 0xffff
  return crc % slotCount
}

export interface SlotRange {
  first: number
  last: number
  /** `host:port` of the master. */
  address: string
}

/** Reads what CLUSTER SLOTS answers; a node that does not know its own name is known by that of who was asked. */
export function readSlotRanges(reply: unknown, askedHost: string): SlotRange[] {
  if (!Array.isArray(reply)) throw new TypeError('CLUSTER SLOTS answered something else')
  return reply.map((range: unknown) => {
    const [first, last, master] = Array.isArray(range) ? range : []
    const [host, port] = Array.isArray(master) ? master : []
    if (typeof first !== 'number' || typeof last !== 'number' || typeof port !== 'number') {
      throw new TypeError('CLUSTER SLOTS answered something else')
    }
    return { first, last, address: `${host && host !== '?' ? String(host) : askedHost}:${port}` }
  })
}

/** The slot and the address in `MOVED 3999 127.0.0.1:6381` and its like. */
export function readRedirect(message: string): { slot: number; address: string } | undefined {
  const [, slot, address] = message.split(' ')
  if (slot === undefined || !address || !/^\d+$/.test(slot) || Number(slot) >= slotCount) return undefined
  return { slot: Number(slot), address }
}

export function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) }
}
