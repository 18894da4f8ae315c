import fc from 'fast-check'
import { drawn } from '../drawing.ts'
import type { Ground } from '../ground.ts'
import { signedIn } from '../sign-in/signed-in.ts'
import { wrongs } from '../wrongs.ts'
import { FuzzConnection } from './connection.ts'
import { encodeFrame, opcodes } from './frame.ts'
import { anyHandshake, type Handshake } from './handshakes.ts'
import { atTheLimits } from './limits.ts'
import { anySession, type Count, runSession, type Session } from './session.ts'

const AT_ONCE = 16
/** With a handshake each, or some frames. */
const FRAMES_OF_A_SESSION = 6
/** That leave as much behind as one request over HTTP. */
const REQUESTS_TO_RENEW = 4
/** What RFC 6455 §1.3 has the server make of the key that is sent here. */
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

type Drawn = { handshake: Handshake; caller: number } | Session

/** Sends at least that many handshakes and frames. */
export async function fuzzWebSockets(ground: Ground, requests: number, seed: number): Promise<void> {
  const { app, port, callers, found, renew } = ground
  const ports = new Set<number>()
  let asked = 0
  const count: Count = (what, answered) => {
    asked += 1
    ground.count(`WebSocket: ${what}`, answered, requests)
  }
  const sessions: string[] = []
  for (const { oid, tenant } of callers)
    sessions.push(await signedIn(ground, { oid: `page-of-${oid}`, tenant, roles: ['Chat.User'] }))
  const headOf = (at: number) => (text: string) =>
    text
      .replaceAll('~~token~~', callers[at]?.headers.authorization ?? '')
      .replaceAll('~~session~~', sessions[at] ?? '')
      .replaceAll('~~own~~', app.url)
      .replaceAll('~~host~~', `127.0.0.1:${port}`)
  const keep = (from: number | undefined) => {
    if (from !== undefined) ports.add(from)
  }

  async function shake({ handshake, caller }: { handshake: Handshake; caller: number }): Promise<void> {
    const { isFine, early } = handshake
    const head = headOf(caller)(handshake.head)
    ground.asks(head)
    const connection = new FuzzConnection(port)
    connection.shake(head)
    if (early === 'ping') connection.send(encodeFrame({ opcode: opcodes.ping, payload: Buffer.alloc(3) }))
    if (early === 'garbage') connection.send('GET / HTTP/1.1\r\n\r\n')
    const shaken = await connection.shaken()
    connection.socket.destroy()
    keep(connection.port)
    count('handshake', `${shaken?.status ?? 'none'}`)
    const tell = (wrong: string) =>
      found(`WebSocket handshake: ${wrong}`, `${head.slice(0, 1500)} → ${shaken?.status} ${shaken?.body.slice(0, 500)}`)
    if (!shaken) return tell('no answer')
    const { status, headers, body } = shaken
    if (isFine === true && status !== 101) tell(`${status} though all is fine`)
    if (isFine === false && status === 101) tell('opened though not all is fine')
    const [requestId, type = ''] = [headers.get('x-request-id'), headers.get('content-type')]
    if (status === 101 && headers.get('sec-websocket-accept') !== ACCEPT) tell('101 without its accept')
    const method = head.split(' ')[0] ?? ''
    for (const wrong of wrongs({ method, isOfOperation: false }, { status, type, requestId, text: body }, () => ''))
      tell(wrong)
  }

  const any: fc.Arbitrary<Drawn> = fc.oneof(
    { arbitrary: fc.record({ handshake: anyHandshake, caller: fc.nat({ max: 3 }) }), weight: FRAMES_OF_A_SESSION },
    { arbitrary: anySession, weight: 2 },
  )
  const all = drawn(any, Number.POSITIVE_INFINITY, seed)
  const worker = async () => {
    for (const each of all) {
      await renew.when(Math.floor(asked / REQUESTS_TO_RENEW))
      const who = callers[each.caller]
      if ('handshake' in each) await shake(each)
      else if (who) keep(await runSession(ground, who, each, headOf(each.caller), count))
      if (asked >= requests) return
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  for await (const from of atTheLimits(ground, headOf(0), count, () => ground.gone(ports))) keep(from)
  await ground.conclude(ports)
  const { size } = app.app.server.eventStreams
  if (size > 0) found('WebSocket: connections are still counted', `${size}`)
}
