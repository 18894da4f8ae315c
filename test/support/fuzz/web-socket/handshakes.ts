import fc from 'fast-check'
import { mostly } from '../drawing.ts'
import { LISTED } from '../ground.ts'

/** Lines of a handshake, and whether the server may open the WebSocket with them; undefined where it may do either. */
interface Part {
  lines: readonly string[]
  isFine: boolean | undefined
}

/** `~~token~~`, `~~session~~` and `~~own~~` stand for what the caller brings, and for our own origin. */
export interface Handshake {
  head: string
  isFine: boolean | undefined
  /** Sent with the head, before there is an answer. */
  early: 'none' | 'ping' | 'garbage'
}

const fine = (...lines: string[]): Part => ({ lines, isFine: true })
const bad = (...lines: string[]): Part => ({ lines, isFine: false })
const either = (...lines: string[]): Part => ({ lines, isFine: undefined })

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const token = 'authorization: ~~token~~'
const session = 'cookie: a=b; parley-session=~~session~~; c'

const address = mostly(
  fc.constantFrom('hermes', 'athena', 'sisyphus').map((id) => fine(`GET /ws/v1/specialists/${id} HTTP/1.1`)),
  9,
  ...[
    fine('GET /ws/v1/specialists/hermes?a=1&a=%41&%20 HTTP/1.1'),
    bad('GET /ws/v1/specialists/hermes?a=%ff HTTP/1.1'),
  ],
  ...[
    'nobody',
    '__proto__',
    'constructor',
    '%00',
    '%ff',
    'x'.repeat(64),
    'x'.repeat(65),
    'hermes/',
    '',
    '..',
    'h%65rmes',
  ].map((id) => (id === 'h%65rmes' ? either : bad)(`GET /ws/v1/specialists/${id} HTTP/1.1`)),
  ...['POST', 'HEAD', 'OPTIONS', 'TRACE', 'get', 'CONNECT'].map((method) =>
    bad(`${method} /ws/v1/specialists/hermes HTTP/1.1`),
  ),
  ...[bad('GET /ws/v1/specialists/hermes HTTP/1.0'), bad('GET /ws/v1/specialists/hermes HTTP/2.0')],
  ...[bad('GET /api/v1/me HTTP/1.1'), bad('GET http://elsewhere.example/ws/v1/specialists/hermes HTTP/1.1')],
  either('GET ws://~~host~~/ws/v1/specialists/hermes HTTP/1.1'),
)
const host = mostly(
  fc.constant(fine('host: ~~host~~')),
  30,
  bad(),
  bad('host: ~~host~~', 'host: ~~host~~'),
  either('host:'),
)
const upgrade = mostly(
  fc.constantFrom(fine('upgrade: websocket'), fine('Upgrade: WebSocket')),
  20,
  ...[
    bad(),
    bad('upgrade: h2c'),
    bad('upgrade:'),
    bad('upgrade: websocket, h2c'),
    bad('upgrade: h2c', 'upgrade: websocket'),
  ],
)
const connection = mostly(
  fc.constantFrom(fine('connection: Upgrade'), fine('connection: keep-alive, Upgrade')),
  20,
  ...[bad(), bad('connection: close'), bad('connection: keep-alive'), either('connection: close, upgrade')],
)
const version = mostly(
  fc.constant(fine('sec-websocket-version: 13')),
  15,
  ...[
    bad(),
    ...['8', '0', '14', '-13', '13.0', '0013', '13, 8', '', 'é'].map((of) => bad(`sec-websocket-version: ${of}`)),
  ],
  bad('sec-websocket-version: 8', 'sec-websocket-version: 13'),
)
const key = mostly(
  fc.constant(fine(`sec-websocket-key: ${KEY}`)),
  15,
  ...[
    bad(),
    ...['', 'x', `${KEY}=`, KEY.repeat(2), '*'.repeat(24), 'x'.repeat(9000)].map((of) =>
      bad(`sec-websocket-key: ${of}`),
    ),
  ],
  bad(`sec-websocket-key: ${KEY}`, `sec-websocket-key: ${KEY}`),
)
const protocol = mostly(
  fc.constant(fine()),
  4,
  ...[fine('sec-websocket-protocol: chat'), fine('sec-websocket-protocol: chat, superchat')],
  ...['', ',', 'chat, chat', 'a b', 'é', '"', 'chat;q=1', 'x'.repeat(4000)].map((of) =>
    either(`sec-websocket-protocol: ${of}`),
  ),
  either('sec-websocket-protocol: a', 'sec-websocket-protocol: b'),
)
const extensions = mostly(
  fc.constant(fine()),
  4,
  ...['permessage-deflate', 'permessage-deflate; client_max_window_bits', 'x-unknown; a=b'].map((of) =>
    fine(`sec-websocket-extensions: ${of}`),
  ),
  ...['permessage-deflate; server_max_window_bits=99', ';;', '=', 'a; b="', ','.repeat(500)].map((of) =>
    either(`sec-websocket-extensions: ${of}`),
  ),
)
/** Who asks, and from which page: a session counts on pages of ours alone, a token also on those of the list. */
const who = mostly(
  fc.constantFrom(
    ...[fine(token), fine(token), fine(token, 'origin: ~~own~~'), fine(token, `origin: ${LISTED}`)],
    ...[fine(session, 'origin: ~~own~~'), fine(session, 'sec-fetch-site: same-origin')],
  ),
  3,
  ...[
    bad(),
    bad('origin: ~~own~~'),
    bad('authorization: Bearer x'),
    bad('authorization: Basic eDp4'),
    bad('authorization:'),
  ],
  ...[
    bad(token, token),
    bad(token, 'api-key: another'),
    bad(`${token}x`),
    bad(session),
    bad(session, `origin: ${LISTED}`),
  ],
  ...['https://evil.example', 'null', '', '~~own~~.evil.example', 'http://shop.example'].flatMap((of) => [
    bad(token, `origin: ${of}`),
    bad(session, `origin: ${of}`),
  ]),
  ...[
    bad(session, 'origin: ~~own~~', 'sec-fetch-site: cross-site'),
    bad('cookie: parley-session=x', 'origin: ~~own~~'),
  ],
  ...[bad('cookie: parley-session=~~session~~x', 'origin: ~~own~~'), bad('cookie: parley-session=', 'origin: ~~own~~')],
  ...[
    bad('cookie: parley-session=a.b.c; parley-session=~~session~~', 'origin: ~~own~~'),
    bad(`cookie: ${'a=b;'.repeat(3000)}`),
  ],
)
const more = mostly(
  fc.constant(fine()),
  6,
  ...[
    fine('x-request-id: mine'),
    fine('x-request-id: é'),
    fine('traceparent: 00-zz'),
    either('x-parley-config: __proto__'),
  ],
  ...[bad('x'.repeat(20_000)), bad(...Array.from({ length: 120 }, (_, at) => `x-${at}: 1`)), bad(' folded: yes')],
  ...[either('transfer-encoding: chunked'), either('content-length: 5'), bad('content-length: 1', 'content-length: 2')],
  bad('a\u0000b: c'),
)

/** One that opens. */
export function soundHandshake(specialist: string): Handshake {
  const parts = [
    `GET /ws/v1/specialists/${specialist} HTTP/1.1`,
    'host: ~~host~~',
    'upgrade: websocket',
    'connection: Upgrade',
  ]
  const rest = ['sec-websocket-version: 13', `sec-websocket-key: ${KEY}`, token]
  return { head: `${[...parts, ...rest].join('\r\n')}\r\n\r\n`, isFine: true, early: 'none' }
}

export const anyHandshake: fc.Arbitrary<Handshake> = fc
  .record({
    parts: fc.tuple(address, host, upgrade, connection, version, key, protocol, extensions, who, more),
    early: mostly<Handshake['early']>(fc.constant('none'), 8, 'ping', 'garbage'),
  })
  .map(({ parts, early }) => ({
    head: `${parts.flatMap(({ lines }) => lines).join('\r\n')}\r\n\r\n`,
    isFine: parts.some(({ isFine }) => isFine === false)
      ? false
      : parts.some(({ isFine }) => isFine === undefined)
        ? undefined
        : true,
    early,
  }))
