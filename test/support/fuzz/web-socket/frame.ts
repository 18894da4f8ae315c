/** Frames of RFC 6455 §5.2, written also as they must not be. */
export interface Frame {
  opcode: number
  payload: Buffer
  fin?: boolean
  /** The three reserved bits, 0 to 7. */
  reserved?: number
  masked?: boolean
  /** Instead of the length of the payload. */
  declared?: bigint
}

export const opcodes = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const MASK = Buffer.from([1, 2, 3, 4])

export function encodeFrame({ opcode, payload, fin = true, reserved = 0, masked = true, declared }: Frame): Buffer {
  const length = declared ?? BigInt(payload.length)
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode]
  const mark = masked ? 0x80 : 0
  const long = Buffer.alloc(8)
  long.writeBigUInt64BE(length)
  if (length < 126n) head.push(mark | Number(length))
  else if (length < 65_536n) head.push(mark | 126, ...long.subarray(6))
  else head.push(mark | 127, ...long)
  if (!masked) return Buffer.concat([Buffer.from(head), payload])
  return Buffer.concat([Buffer.from(head), MASK, payload.map((byte, at) => byte ^ (MASK[at % 4] ?? 0))])
}

/** What a server sent: whole frames, and what is left of the bytes. Throws where a server may not send it. */
export function decodeFrames(bytes: Buffer): { frames: Required<Pick<Frame, 'opcode' | 'payload'>>[]; rest: Buffer } {
  const frames: { opcode: number; payload: Buffer }[] = []
  let rest = bytes
  for (;;) {
    const [first = 0, second = 0] = rest
    if (rest.length < 2) return { frames, rest }
    if ((first & 0xf0) !== 0x80 || second >= 0x80) throw new Error(`a frame that begins with ${first}, ${second}`)
    const more = second === 127 ? 8 : second === 126 ? 2 : 0
    if (rest.length < 2 + more) return { frames, rest }
    const length = more === 8 ? Number(rest.readBigUInt64BE(2)) : more === 2 ? rest.readUInt16BE(2) : second
    const end = 2 + more + length
    if (rest.length < end) return { frames, rest }
    frames.push({ opcode: first & 0x0f, payload: rest.subarray(2 + more, end) })
    rest = rest.subarray(end)
  }
}

export function closing(code: number, reason = ''): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason))
  payload.writeUInt16BE(code)
  payload.write(reason, 2)
  return encodeFrame({ opcode: opcodes.close, payload })
}
