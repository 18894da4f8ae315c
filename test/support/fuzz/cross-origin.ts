import fc from 'fast-check'
import type { Operation } from './document.ts'
import { drawn, mostly } from './drawing.ts'
import { type Answer, exchanges } from './exchange.ts'
import { type Ground, LISTED } from './ground.ts'
import { signedIn } from './sign-in/signed-in.ts'
import { wrongs } from './wrongs.ts'

const AT_ONCE = 8
const ORIGINS = [
  ...[undefined, 'https://evil.example', 'null', '', '*', 'http://shop.example', 'https://shop.example.evil.example'],
  ...[
    'https://shop.example:443',
    'https://shop.example/',
    'https://SHOP.example',
    ' https://shop.example x',
    'https://evil.example https://shop.example',
  ],
  ...[
    'https://shop.example, https://evil.example',
    'https://eshop.example',
    'file://',
    'https://shop.example\u00ff',
    'http://localhost:5174',
  ],
]
const WISHES = [
  ...['authorization', 'authorization,content-type', 'X-Whatever', '', ',', '*', 'a b', 'x'.repeat(4000), '\u00e9'],
  ...['a\tb', 'access-control-allow-credentials: true', ',,,,', '__proto__'],
]
const METHODS = [
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'get',
  'FOO',
  '',
  '*',
  'GET, POST',
]
/** Refused before it is looked at who asks. */
const UNREADABLE = '/%ff'
const ELSEWHERE = [
  '/',
  '/nowhere',
  '/ws/v1/specialists/hermes',
  '/auth/login',
  '/docs',
  '/openapi.json',
  '/%ff',
  '*',
  '/page/page.js',
]
/** Who asks: a page has a token of its own, or has the browser send what it has of us. */
const BRINGS = ['nothing', 'token', 'session'] as const

interface Asked {
  operation: Operation | undefined
  path: string
  method: string
  origin: string | undefined
  wanted: string | undefined
  wishes: string | undefined
  brings: (typeof BRINGS)[number]
}

/** Sends that many requests of pages of other origins: the questions that browsers ask before them, and the requests themselves. */
export async function fuzzCrossOrigin(ground: Ground, requests: number, seed: number): Promise<void> {
  const { app, callers, document, found, count } = ground
  const [ana] = callers
  if (!ana) throw new Error('Nobody asks.')
  const exchange = exchanges(app.url, AT_ONCE)
  const session = await signedIn(ground, { ...ana, oid: 'page-of-ana' })
  // Nothing is to be changed, and a stream would be waited for.
  const plain = document.operations.filter(({ path }) => !path.endsWith('/stream'))
  const operation = mostly<Operation | undefined>(fc.constantFrom(...plain), 6, undefined)
  const any: fc.Arbitrary<Asked> = fc
    .record({
      operation,
      elsewhere: fc.constantFrom(...ELSEWHERE),
      isQuestion: fc.nat({ max: 2 }).map((die) => die > 0),
      origin: fc.oneof(
        fc.constantFrom<string | undefined>(LISTED, 'http://localhost:5173'),
        fc.constantFrom(...ORIGINS),
      ),
      wanted: mostly<string | undefined>(fc.constantFrom(...METHODS), 8, undefined),
      wishes: fc.constantFrom(undefined, ...WISHES),
      brings: fc.constantFrom(...BRINGS),
    })
    .map(({ elsewhere, isQuestion, ...rest }) => ({
      ...rest,
      path: rest.operation?.path.replaceAll(/\{\w+\}/g, 'x') ?? elsewhere,
      method: isQuestion || (rest.operation && rest.operation.method !== 'GET') ? 'OPTIONS' : 'GET',
    }))

  async function ask(asked: Asked): Promise<void> {
    const { method, path, origin, wanted, wishes, brings } = asked
    const headers: Record<string, string> = {
      ...(origin !== undefined && { origin }),
      ...(wanted !== undefined && { 'access-control-request-method': wanted }),
      ...(wishes !== undefined && { 'access-control-request-headers': wishes }),
      ...(brings === 'token' && ana?.headers),
      ...(brings === 'session' && { cookie: `parley-session=${session}` }),
    }
    const shown = `${method} ${path} ${JSON.stringify({ origin, wanted, wishes, brings }).slice(0, 500)}`
    ground.asks(shown)
    const name = `cross-origin: ${method === 'OPTIONS' ? 'question' : 'request'}`
    const answer = await exchange.ask({ method, target: path, headers, body: undefined }).catch((error: Error) => error)
    count(name, answer instanceof Error ? 'none' : `${answer.status}`, requests)
    if (answer instanceof Error) return found(`${name}: no answer: ${answer.message}`, shown)
    const tell = (wrong: string) =>
      found(
        `${name}: ${wrong}`,
        `${shown} → ${answer.status} ${JSON.stringify(answer.headers)} ${answer.text.slice(0, 300)}`,
      )
    for (const wrong of wrongs({ method, isOfOperation: false }, answer, document.misfit)) tell(wrong)
    for (const wrong of originWrongs(asked, answer, app.url, plain)) tell(wrong)
  }

  const all = drawn(any, requests, seed)
  const worker = async () => {
    for (const asked of all) await ask(asked)
  }
  try {
    await ground.renew.when(0)
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  } finally {
    exchange.close()
  }
  await ground.conclude(exchange.ports)
}

function* originWrongs(
  { operation, path, method, origin, wanted, wishes, brings }: Asked,
  answer: Answer,
  own: string,
  all: readonly Operation[],
) {
  const { status, headers, text } = answer
  const isListed = origin === LISTED || origin === 'http://localhost:5173'
  const allowed = headers['access-control-allow-origin']
  if (isListed ? allowed !== origin : allowed !== undefined) yield `lets ${allowed} read`
  if (headers['access-control-allow-credentials'] !== undefined) yield 'lets pages send what browsers have of us'
  if (!/\borigin\b/.test(String(headers.vary))) yield 'does not vary with the origin'
  const isQuestion = method === 'OPTIONS' && wanted !== undefined && origin !== undefined
  if (isQuestion && !isListed && status !== 403 && path !== UNREADABLE) yield `answers a page of no list with ${status}`
  if (!isQuestion && method === 'OPTIONS' && status === 204) yield 'answers what is no question'
  if (isQuestion && isListed && operation) {
    const methods = all.filter((each) => each.path === operation.path).map((each) => each.method)
    const told = String(headers['access-control-allow-methods']).split(', ')
    if (status !== 204 || text !== '' || !methods.every((each) => told.includes(each)))
      yield `is answered with ${status}`
    if (headers['access-control-allow-headers'] !== (wishes ?? '').trim()) yield 'does not say what may be sent'
  }
  if (
    method === 'GET' &&
    brings === 'session' &&
    origin !== undefined &&
    origin !== own &&
    path === '/api/v1/me' &&
    status !== 403
  )
    yield `takes the session of a page of another origin: ${status}`
}
