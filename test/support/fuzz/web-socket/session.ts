import fc from 'fast-check'
import { mostly } from '../drawing.ts'
import type { Ground } from '../ground.ts'
import { type Caller, marked } from '../known.ts'
import { anyMessage, type Message } from './calls.ts'
import { FuzzConnection } from './connection.ts'
import { closing, encodeFrame, opcodes } from './frame.ts'
import { soundHandshake } from './handshakes.ts'
import { Hearing } from './hearing.ts'
import { anyFarewell, anyIdling, anyOffence, MESSAGE_BYTES, type Offence } from './offences.ts'

/** One more of these, and what came of it. */
export type Count = (asked: string, answered: string) => void

type Step =
  | { kind: 'message'; message: Message; pieces: number }
  | { kind: 'idling'; opcode: number; payload: Buffer; name: string }

export interface Session {
  caller: number
  specialist: string
  steps: readonly Step[]
  /** Whether all answers are waited for before the end. */
  settles: boolean
  end: { how: 'closes'; offence: Offence } | { how: 'leaves' | 'half' | 'within a frame' }
}

/** As is documented: so many calls at once, and as many refusals. */
export const CALLS_AT_ONCE = 40
export const CALLS_PATIENCE = 80

export const anySession: fc.Arbitrary<Session> = fc.record({
  caller: fc.nat({ max: 3 }),
  specialist: mostly(fc.constantFrom('hermes', 'athena'), 12, 'sisyphus'),
  steps: fc.array(
    fc.oneof(
      {
        arbitrary: fc.record({
          kind: fc.constant('message' as const),
          message: anyMessage,
          pieces: mostly(fc.constant(1), 6, 2, 3, 50, 1024),
        }),
        weight: 8,
      },
      { arbitrary: anyIdling.map((idling): Step => ({ kind: 'idling', ...idling })), weight: 1 },
    ),
    { minLength: 1, maxLength: 10 },
  ),
  settles: fc.nat({ max: 3 }).map((die) => die > 0),
  end: fc.oneof(
    { arbitrary: anyOffence.map((offence) => ({ how: 'closes' as const, offence })), weight: 5 },
    { arbitrary: anyFarewell.map((offence) => ({ how: 'closes' as const, offence })), weight: 4 },
    { arbitrary: fc.constantFrom('leaves', 'half', 'within a frame').map((how) => ({ how })), weight: 3 },
  ),
})

/** One connection from its handshake to its end, and whether all was in order. Resolves with the port that it came from. */
export async function runSession(
  ground: Ground,
  who: Caller,
  { specialist, steps, settles, end }: Session,
  head: (text: string) => string,
  count: Count,
): Promise<number | undefined> {
  const shown: string[] = []
  const tell = (wrong: string) =>
    ground.found(`WebSocket: ${wrong}`, `${who.oid} with ${specialist}: ${shown.join(' · ')}`.slice(0, 4000))
  const connection = new FuzzConnection(ground.port)
  const hearing = new Hearing(ground, who, tell)
  let read = 0
  let closedWith: number | undefined
  let pongs = 0
  let calls = 0

  function listen(): void {
    for (; read < connection.heard.length; read += 1) {
      const { opcode, payload } = connection.heard[read] ?? { opcode: 0, payload: Buffer.alloc(0) }
      if (closedWith !== undefined) tell('something after the close')
      if (opcode === opcodes.text) hear(payload)
      else if (opcode === opcodes.close) closedWith = payload.length === 0 ? 1005 : payload.readUInt16BE()
      else if (opcode === opcodes.pong) pongs -= 1
      else if (opcode !== opcodes.ping) tell(`a frame with opcode ${opcode}`)
    }
    if (connection.broken !== undefined) tell(connection.broken)
  }

  function hear(payload: Buffer): void {
    const text = payload.toString()
    if (!Buffer.from(text).equals(payload)) tell('a message that is not UTF-8')
    shown.push(`heard ${text.slice(0, 200)}`)
    hearing.hears(text)
  }

  /** Whether the connection is over by it. */
  function say({ name, message, pieces }: { name: string; message: Message; pieces: number }): boolean {
    const filled = marked(ground.known.fill(message.text, who), '/v1/', who)
    // What a run holds is known once it is known which run.
    const text = ground.known.fill(filled.replaceAll('~~HASH~~', '~~hash~~'), who, filled)
    const bytes = Buffer.from(text)
    shown.push(`said ${text.slice(0, 300)}`)
    ground.asks(`WebSocket of ${who.oid}: ${text.slice(0, 600)}`)
    calls += message.isBatch ? Math.max(1, text.split('"method"').length - 1) : 1
    if (bytes.length <= MESSAGE_BYTES) hearing.sends(message, text)
    connection.send(Buffer.concat(inPieces(bytes, Math.min(pieces, bytes.length || 1))))
    count(name, 'sent')
    return bytes.length > MESSAGE_BYTES
  }

  connection.shake(head(soundHandshake(specialist).head))
  const shaken = await connection.shaken()
  if (shaken?.status !== 101) {
    tell(`no handshake: ${shaken?.status} ${shaken?.body}`)
    connection.socket.destroy()
    return connection.port
  }
  const isOver = steps.some((step) => {
    if (step.kind === 'message') return say({ name: step.message.name, ...step })
    connection.send(encodeFrame(step))
    count(step.name, 'sent')
    if (step.opcode === opcodes.ping) pongs += 1
    return false
  })
  const settled = () => {
    listen()
    return closedWith !== undefined || connection.hasEnded || (hearing.owed === 0 && pongs <= 0)
  }
  if (settles && !isOver && !(await connection.until(settled))) tell('a call got no answer')
  if (closedWith === undefined && connection.hasEnded) tell('ended without a close')
  if (closedWith !== undefined && !(closedWith === 1008 && calls > CALLS_PATIENCE)) tell(`closed with ${closedWith}`)
  if (closedWith === undefined && settles && !isOver && pongs !== 0) tell(`${-pongs} pongs too many`)
  await finish(isOver)
  return connection.port

  async function finish(isOver: boolean): Promise<void> {
    if (!isOver && end.how !== 'closes') {
      count(end.how, 'left')
      if (end.how === 'within a frame') connection.send(Buffer.from([0x81, 0xfe]))
      if (end.how === 'half') connection.socket.end()
      else connection.socket.destroy()
      if (end.how === 'half' && !(await connection.until(() => connection.hasEnded)))
        tell('a half-open connection stays')
      return void connection.socket.destroy()
    }
    const offence = isOver || end.how !== 'closes' ? undefined : end.offence
    shown.push(`ended by ${offence?.name ?? 'a message too long'}`)
    if (offence) connection.send(offence.bytes)
    const isClosed = () => {
      listen()
      return closedWith !== undefined || connection.hasEnded
    }
    if (!(await connection.until(isClosed))) tell('no close')
    const codes = [...(offence?.codes ?? [1009]), ...(calls > CALLS_PATIENCE ? [1008] : [])]
    if (closedWith === undefined || !codes.includes(closedWith)) tell(`closed with ${closedWith} instead of ${codes}`)
    count(offence?.name ?? 'a message too long', `closed ${closedWith}`)
    connection.send(closing(1000))
    if (!(await connection.until(() => connection.hasEnded))) tell('a connection that was closed stays')
    connection.socket.destroy()
  }
}

function inPieces(bytes: Buffer, pieces: number): Buffer[] {
  const size = Math.max(1, Math.ceil(bytes.length / pieces))
  const count = Math.max(1, Math.ceil(bytes.length / size))
  return Array.from({ length: count }, (_, at) =>
    encodeFrame({
      opcode: at === 0 ? opcodes.text : opcodes.more,
      payload: bytes.subarray(at * size, (at + 1) * size),
      fin: at === count - 1,
    }),
  )
}
