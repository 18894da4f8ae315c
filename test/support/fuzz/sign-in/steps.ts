import fc from 'fast-check'
import { mostly } from '../drawing.ts'

/** Which of what exists, the newest first. */
export type Nth = number

/** What goes back as the cookie that a sign-in was begun with. */
export type PendingCookie =
  | 'own'
  | 'own first of two'
  | 'own among others'
  | 'none'
  | 'another'
  | 'another first of two'
  | 'cut'
  | 'longer'
  | 'empty'
  | 'made up'
/** What goes along as the cookie of a session. */
export type SessionCookie =
  | 'own'
  | 'cut'
  | 'longer'
  | 'secret of another'
  | 'owner of another'
  | 'made up'
  | 'parts too many'
  | 'empty'
/** Where a page of which a browser says it comes from. */
export type From = 'own' | 'same-origin' | 'none' | 'listed' | 'evil' | 'null' | 'cross-site' | 'same-site'

export type Step =
  /** Begins a sign-in. */
  | {
      kind: 'begin'
      returnTo: string | undefined
      tenant: 'home' | 'guest' | 'none' | 'another' | 'hostile'
      more: string
    }
  /** Signs in at the authority; something on the way there is not as we sent it. */
  | { kind: 'authorize'; at: Nth; person: Nth; tampered: 'none' | 'nonce' | 'code_challenge' | 'state' }
  /** Comes back, perhaps with something of another sign-in, and perhaps twice at once. */
  | {
      kind: 'return'
      at: Nth
      state: 'own' | 'another' | 'made up' | 'none' | 'twice' | 'hostile'
      code: 'own' | 'another' | 'made up' | 'none' | 'twice' | 'hostile'
      cookie: PendingCookie
      error: boolean
      more: string
      times: 1 | 2 | 5
    }
  /** Asks who it is. */
  | { kind: 'use'; at: Nth; other: Nth; cookie: SessionCookie; from: From; method: 'GET' | 'DELETE' }
  | { kind: 'leave'; at: Nth; other: Nth; cookie: SessionCookie; from: From }
  /** Anything at all. */
  | { kind: 'hostile'; method: string; target: string; cookie: string }

const nth = fc.oneof({ arbitrary: fc.constant(0), weight: 6 }, { arbitrary: fc.nat({ max: 20 }), weight: 1 })
const anyone = fc.nat({ max: 20 })

const WAYS_BACK = [
  ...[
    '/',
    '/#conv_1',
    '/?a=b',
    '/docs',
    '/page/page.js',
    '/auth/logout',
    '/a"><script>alert(1)</script>',
    '/%2f%2fevil.example',
  ],
  ...[
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'https://evil.example',
    'evil.example',
    '',
    ' /',
    '/ /evil.example',
  ],
  ...[
    '/\t/evil.example',
    '/\n/evil.example',
    '/\r\nset-cookie: a=b',
    'javascript:alert(1)',
    'data:text/html,x',
    '/\u0000',
    '/é',
  ],
  ...[
    '/./\\evil.example',
    '/.//evil.example',
    '/..//evil.example',
    '/%5cevil.example',
    '/@evil.example',
    'http:/evil.example',
    '?x',
  ],
  ...[
    '///evil.example',
    '/;@evil.example',
    '/&quot;&lt;',
    "/'-alert(1)-'",
    '/;url=https://evil.example',
    `/${'a'.repeat(1023)}`,
  ],
  ...[
    `/${'a'.repeat(1024)}`,
    '/\u202e',
    '/\ud800',
    'http:evil.example',
    '/http://evil.example',
    '/?url=https://evil.example',
  ],
] as const
const HOSTILE_QUERIES = [
  'return=/a&return=//evil.example',
  'tenant[]=x',
  '__proto__=x',
  '%00=1',
  'return=%',
  'return=%ff',
  '&&&',
  '=',
]

const begin = fc.record({
  kind: fc.constant('begin' as const),
  returnTo: fc.oneof(
    { arbitrary: fc.constantFrom(undefined, '/', '/#conv_1'), weight: 2 },
    { arbitrary: fc.constantFrom(...WAYS_BACK), weight: 2 },
    { arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 40 }).map((text) => `/${text}`), weight: 1 },
    {
      arbitrary: fc.string({
        unit: fc.constantFrom('/', '\\', '.', 'e', ':', '@', '?', '#', '%2f', '\t'),
        maxLength: 8,
      }),
      weight: 1,
    },
  ),
  tenant: mostly(
    fc.constantFrom('none' as const, 'home' as const, 'guest' as const),
    8,
    'another' as const,
    'hostile' as const,
  ),
  more: mostly(fc.constant(''), 12, ...HOSTILE_QUERIES),
})

const authorize = fc.record({
  kind: fc.constant('authorize' as const),
  at: nth,
  person: anyone,
  tampered: mostly(fc.constant('none' as const), 6, 'nonce' as const, 'code_challenge' as const, 'state' as const),
})

const part = fc.constantFrom(
  'another' as const,
  'made up' as const,
  'none' as const,
  'twice' as const,
  'hostile' as const,
)
const back = fc.record({
  kind: fc.constant('return' as const),
  at: nth,
  state: fc.oneof({ arbitrary: fc.constant('own' as const), weight: 12 }, { arbitrary: part, weight: 1 }),
  code: fc.oneof({ arbitrary: fc.constant('own' as const), weight: 12 }, { arbitrary: part, weight: 1 }),
  cookie: mostly<PendingCookie>(
    fc.constantFrom('own', 'own', 'own', 'own first of two', 'own among others'),
    5,
    ...(['none', 'another', 'another first of two', 'cut', 'longer', 'empty', 'made up'] as const),
  ),
  error: fc.nat({ max: 19 }).map((die) => die === 0),
  more: mostly(fc.constant(''), 15, ...HOSTILE_QUERIES),
  times: mostly<1 | 2 | 5>(fc.constant(1), 5, 2, 5),
})

const sessionCookie = mostly<SessionCookie>(
  fc.constant('own'),
  3,
  ...(['cut', 'longer', 'secret of another', 'owner of another', 'made up', 'parts too many', 'empty'] as const),
)
const from = fc.constantFrom<From>(
  'own',
  'own',
  'own',
  'same-origin',
  'none',
  'listed',
  'evil',
  'null',
  'cross-site',
  'same-site',
)

const use = fc.record({
  kind: fc.constant('use' as const),
  at: anyone,
  other: anyone,
  cookie: sessionCookie,
  from,
  method: mostly<'GET' | 'DELETE'>(fc.constant('GET'), 30, 'DELETE'),
})

const leave = fc.record({ kind: fc.constant('leave' as const), at: anyone, other: anyone, cookie: sessionCookie, from })

const hostile = fc.record({
  kind: fc.constant('hostile' as const),
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE'),
  target: fc
    .tuple(
      fc.constantFrom(
        '/auth/login',
        '/auth/callback',
        '/auth/logout',
        '/auth/',
        '/auth',
        '/auth/%2e%2e/login',
        '/auth//login',
      ),
      fc.constantFrom(
        '',
        ...HOSTILE_QUERIES,
        `code=${'x'.repeat(8193)}`,
        'state=%00&code=%00',
        `state=${'a'.repeat(43)}&code=x`,
      ),
    )
    .map(([path, query]) => (query === '' ? path : `${path}?${query}`)),
  cookie: fc.constantFrom(
    ...[
      '',
      'parley-sign-in=',
      'parley-sign-in',
      '=',
      ';;;',
      'parley-session=..',
      'parley-session=%00.%00.x',
      '__proto__=1',
    ],
    ...[
      `parley-sign-in=${'x'.repeat(6000)}`,
      `parley-session=${'YQ'.repeat(3000)}.YQ.${'a'.repeat(43)}`,
      '\u00ff=\u00fe',
    ],
    ...[`parley-sign-in=${'a'.repeat(43)}`, `parley-session=AAAA.AAAA.${'a'.repeat(43)}`, 'parley-session="a.b.c"'],
  ),
})

export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: begin, weight: 5 },
  { arbitrary: authorize, weight: 3 },
  { arbitrary: back, weight: 4 },
  { arbitrary: use, weight: 6 },
  { arbitrary: leave, weight: 1 },
  { arbitrary: hostile, weight: 2 },
)
