import type { Ground } from '../ground.ts'
import { WEB_SOCKETS } from '../ground.ts'
import { FuzzConnection } from './connection.ts'
import { closing, encodeFrame, opcodes } from './frame.ts'
import { soundHandshake } from './handshakes.ts'
import { FRAGMENTS, MESSAGE_BYTES } from './offences.ts'
import { CALLS_AT_ONCE, CALLS_PATIENCE, type Count } from './session.ts'

const CALLS_PER_SECOND = 20
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
const text = (payload: string | Buffer, rest = {}) =>
  encodeFrame({ opcode: opcodes.text, payload: Buffer.from(payload), ...rest })
const more = (fin: boolean) => encodeFrame({ opcode: opcodes.more, payload: Buffer.alloc(0), fin })

/** Each limit of a connection at its edge, and one past it. Nobody else may be connected meanwhile. */
export async function* atTheLimits(
  ground: Ground,
  head: (text: string) => string,
  count: Count,
  allGone: () => Promise<void>,
) {
  const open = () => {
    const connection = new FuzzConnection(ground.port)
    connection.shake(head(soundHandshake('hermes').head))
    return connection
  }
  for (const calls of [CALLS_AT_ONCE, CALLS_AT_ONCE + 1, CALLS_PATIENCE, CALLS_PATIENCE + 1, 4 * CALLS_PATIENCE])
    yield await flood(ground, open(), calls, count)
  yield await sizes(ground, open(), count)
  await allGone()
  yield* crowd(ground, open, count)
}

/** As many are allowed as at once, and those that time has given back meanwhile; who goes on beyond all patience is cut off. */
async function flood({ found }: Ground, connection: FuzzConnection, calls: number, count: Count) {
  const began = performance.now()
  await connection.shaken()
  connection.send(Buffer.concat(Array.from({ length: calls }, () => text(PING))))
  const answers = () => connection.heard.filter(({ opcode }) => opcode === opcodes.text)
  const closed = () => connection.heard.find(({ opcode }) => opcode === opcodes.close)?.payload.readUInt16BE()
  const isOver = await connection.until(() => closed() !== undefined || answers().length >= calls)
  const regained = ((performance.now() - began) / 1000) * CALLS_PER_SECOND
  const allowed = answers().filter(({ payload }) => payload.includes('pong')).length
  const shown = `${calls} calls: ${allowed} allowed, ${answers().length} answered, closed with ${closed()}`
  if (!isOver) found('WebSocket: a flood gets no answer', shown)
  if (closed() === undefined && allowed < Math.min(calls, CALLS_AT_ONCE))
    found('WebSocket: fewer calls than allowed', shown)
  if (allowed > CALLS_AT_ONCE + regained + 1) found('WebSocket: more calls than allowed', shown)
  if (calls <= CALLS_PATIENCE && closed() !== undefined) found('WebSocket: closed before patience ended', shown)
  if (calls > CALLS_PATIENCE + regained + 1 && closed() !== 1008) found('WebSocket: patience without end', shown)
  for (let at = 0; at < calls; at += 1) count('flood', at < allowed ? 'allowed' : 'refused')
  return leave(connection)
}

/** What just fits is taken. */
async function sizes({ found }: Ground, connection: FuzzConnection, count: Count) {
  await connection.shaken()
  const long = PING.replace('ping"}', 'ping","params":{"":"')
  const fits = text(`${long}${'x'.repeat(MESSAGE_BYTES - long.length - 3)}"}}`)
  const inFragments = [
    text(PING, { fin: false }),
    ...Array.from({ length: FRAGMENTS - 1 }, (_, at) => more(at === FRAGMENTS - 2)),
  ]
  connection.send(Buffer.concat([fits, ...inFragments]))
  const isAnswered = () => connection.heard.filter(({ payload }) => payload.includes('pong')).length === 2
  if (!(await connection.until(isAnswered)))
    found('WebSocket: what just fits is not taken', `${connection.heard.length}`)
  count('what just fits', 'taken')
  return leave(connection)
}

/** All connections that there may be, one more, and again one when they have left, half of them without a word. */
async function* crowd({ found }: Ground, open: () => FuzzConnection, count: Count) {
  const all = Array.from({ length: WEB_SOCKETS }, open)
  for (const connection of all) {
    const shaken = await connection.shaken()
    if (shaken?.status !== 101) found('WebSocket: one of as many as there may be is refused', `${shaken?.status}`)
    count('one of the crowd', `${shaken?.status}`)
  }
  const further = open()
  const refused = await further.shaken()
  count('one past the crowd', `${refused?.status}`)
  if (refused?.status !== 503 || !refused.body.includes('"overloaded"') || !refused.headers.has('retry-after'))
    found('WebSocket: one past the limit of connections is let in', `${refused?.status} ${refused?.body}`)
  for (const connection of all) connection.send(text(PING))
  for (const connection of all)
    if (!(await connection.until(() => connection.heard.length > 0)))
      found('WebSocket: not all of a crowd are heard', '')
  for (const [at, connection] of all.entries()) {
    if (at % 2 === 0) connection.socket.resetAndDestroy()
    else yield await leave(connection)
  }
  yield await leave(further)
  for (const connection of all) yield connection.port
  for (;;) {
    const next = open()
    const shaken = await next.shaken()
    yield await leave(next)
    if (shaken?.status === 101) return
    if (shaken?.status !== 503) return found('WebSocket: nobody is let in after a crowd has left', `${shaken?.status}`)
  }
}

async function leave(connection: FuzzConnection): Promise<number | undefined> {
  connection.send(closing(1000))
  await connection.until(() => connection.hasEnded)
  connection.socket.destroy()
  return connection.port
}
