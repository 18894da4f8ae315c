import { errorCodes, ParleyError } from '../../../../src/errors.ts'
import type { readDocument } from '../document.ts'
import { INSIDES, OURS } from '../wrongs.ts'
import type { Expected } from './calls.ts'

export interface Answer {
  jsonrpc?: unknown
  id?: unknown
  method?: unknown
  result?: unknown
  error?: { code?: unknown; message?: unknown; data?: Record<string, unknown> }
  params?: { turn?: unknown; id?: unknown; event?: unknown; data?: unknown; error?: Answer['error'] }
}

type Misfit = ReturnType<typeof readDocument>['misfit']

/** What only says that it is no call, or that there is no such method, is the standard's. */
const STANDARD = new Set([-32_700, -32_600, -32_601])
const CATALOGUE = new Set([-32_602, -32_000])

/** What is wrong with the answer to a call by itself. */
export function* answerWrongs(answer: Answer, expected: Expected | undefined, misfit: Misfit): Generator<string, void> {
  const { jsonrpc, result, error } = answer
  const name = expected?.method && expected.codes === undefined ? expected.method : 'a call'
  if (jsonrpc !== '2.0') yield `${name}: an answer without "jsonrpc": "2.0"`
  if ((result === undefined) === (error === undefined)) yield `${name}: neither a result nor an error, or both`
  if (error) yield* errorWrongs(name, error)
  const isRefusal = error?.data?.code === 'rate_limited'
  if (expected?.codes && !isRefusal && !expected.codes.includes(Number(error?.code)))
    yield `${name}: ${error?.code ?? 'a result'} instead of ${expected.codes}`
  if (expected && !expected.codes && STANDARD.has(Number(error?.code))) yield `${name}: ${error?.code}`
  if (result !== undefined && expected?.method) yield* resultWrongs(expected.method, result, misfit)
}

export function* errorWrongs(name: string, { code, message, data }: NonNullable<Answer['error']>): Iterable<string> {
  if (typeof message !== 'string') yield `${name}: an error without a message`
  if (STANDARD.has(Number(code))) return
  if (!CATALOGUE.has(Number(code))) yield `${name}: error ${code}`
  const known = errorCodes.find((each) => each === data?.code)
  if (!known) return yield `${name}: an error that is not of the catalogue`
  const isWhole = typeof data?.type === 'string' && 'param' in data && typeof data.request_id === 'string'
  if (!isWhole || typeof data.retryable !== 'boolean') yield `${name}: an error not in the one shape`
  const { status, retryable } = new ParleyError(known)
  if (status >= 500 && !(status === 503 && retryable)) yield `${name}: ${known}`
}

function* resultWrongs(method: string, result: unknown, misfit: Misfit): Iterable<string> {
  if (method === 'ping') {
    if (result !== 'pong') yield 'ping: no pong'
  } else if (method === 'approve' || method === 'reject') {
    const wrong = misfit({ path: `/api/v1/runs/{id}/${method}`, method: 'POST' }, 200, result)
    if (wrong) yield `${method}: a result that does not fit: ${wrong}`
  } else {
    const { turn, conversation, config, arm, status } = result as Record<string, unknown>
    const isFollowed = method === 'chat' || method === 'resume'
    const isWhole = [conversation, config, arm].every((each) => typeof each === 'string')
    const isTurn = typeof turn === 'string' && turn.startsWith('turn_')
    if (!isTurn || (isFollowed && !isWhole) || (method === 'resume' && typeof status !== 'string'))
      yield `${method}: a result that does not fit`
  }
}

/** What no message may show, whatever it is. */
export function* textWrongs(text: string): Iterable<string> {
  const fault = OURS.exec(text)?.[1]
  if (fault) yield `a message that tells of ${fault}`
  if (INSIDES.test(text)) yield 'a message that shows our insides'
}
