import fc from 'fast-check'
import { closing, encodeFrame, opcodes } from './frame.ts'

/** What ends a connection, and with which code the server closes it; without one it may say nothing. */
export interface Offence {
  name: string
  bytes: Buffer
  codes: readonly number[]
}

const { more, text, binary, close, ping, pong } = opcodes
const nothing = Buffer.alloc(0)
const hello = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"ping"}')
/** As is documented: one message, and its fragments. */
export const MESSAGE_BYTES = 262_144
export const FRAGMENTS = 1024

const PROTOCOL = [1002]
const DATA = [1007]
const POLICY = [1008]
const SIZE = [1009]

const offence = (name: string, codes: readonly number[], ...bytes: readonly Buffer[]): Offence => ({
  name,
  codes,
  bytes: Buffer.concat(bytes),
})
const frame = (opcode: number, payload: Buffer, rest = {}) => encodeFrame({ opcode, payload, ...rest })

export const anyOffence: fc.Arbitrary<Offence> = fc.constantFrom(
  offence('binary', [1003], frame(binary, hello)),
  offence('binary in fragments', [1003], frame(binary, hello, { fin: false }), frame(more, nothing)),
  offence('not masked', PROTOCOL, frame(text, hello, { masked: false })),
  ...[1, 2, 4, 7].map((reserved) => offence('reserved bits', PROTOCOL, frame(text, hello, { reserved }))),
  ...[3, 7, 11, 15].map((opcode) => offence('reserved opcode', PROTOCOL, frame(opcode, nothing))),
  offence('more of nothing', PROTOCOL, frame(more, hello)),
  offence('text within text', PROTOCOL, frame(text, hello, { fin: false }), frame(text, hello)),
  offence('a ping in parts', PROTOCOL, frame(ping, hello, { fin: false })),
  offence('a ping too long', PROTOCOL, frame(ping, Buffer.alloc(126))),
  offence('a pong too long', PROTOCOL, frame(pong, Buffer.alloc(70_000))),
  ...[
    Buffer.from([0xff]),
    Buffer.from([0xc0, 0xaf]),
    Buffer.from([0xed, 0xa0, 0x80]),
    Buffer.from([0xf4, 0x90, 0x80, 0x80]),
  ].map((bytes) => offence('invalid UTF-8', DATA, frame(text, bytes))),
  offence('UTF-8 cut off', DATA, frame(text, Buffer.from([0x22, 0xe2, 0x82]))),
  offence('one byte too much', SIZE, frame(text, Buffer.alloc(MESSAGE_BYTES + 1, 'x'))),
  offence(
    'fragments too much',
    SIZE,
    frame(text, Buffer.alloc(MESSAGE_BYTES, 'x'), { fin: false }),
    frame(more, Buffer.from('x')),
  ),
  ...[2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n].map((declared) =>
    offence('a length that cannot be', SIZE, frame(text, nothing, { declared })),
  ),
  offence(
    'one fragment too many',
    POLICY,
    frame(text, nothing, { fin: false }),
    ...Array.from({ length: FRAGMENTS }, () => frame(more, nothing, { fin: false })),
  ),
  ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535].map((code) =>
    offence('close with a code that is none', PROTOCOL, closing(code)),
  ),
  offence('close with half a code', PROTOCOL, frame(close, Buffer.from([3]))),
  offence('close with invalid UTF-8', DATA, frame(close, Buffer.from([3, 232, 0xff]))),
  offence('close too long', PROTOCOL, frame(close, Buffer.alloc(126, 1))),
)

/** How a client leaves that has done nothing wrong. */
export const anyFarewell: fc.Arbitrary<Offence> = fc.constantFrom(
  ...[1000, 1001, 1003, 1011, 3000, 4999].map((code) => offence('close', [code], closing(code, 'bye'))),
  offence('close without a code', [1005], frame(close, nothing)),
  offence('close twice', [1000], closing(1000), closing(1001)),
  offence('close, and more', [1000], closing(1000), frame(text, hello), Buffer.from('more')),
)

/** Frames that change nothing. */
export const anyIdling: fc.Arbitrary<{ name: string; payload: Buffer; opcode: number }> = fc
  .record({
    opcode: fc.constantFrom(ping, ping, pong),
    payload: fc.constantFrom(nothing, Buffer.from('a'), Buffer.alloc(125, 0xff)),
  })
  .map(({ opcode, payload }) => ({ name: opcode === ping ? 'ping frame' : 'pong frame', opcode, payload }))
