import { type ErrorCode, errorCodes, ParleyError } from '../../../src/errors.ts'
import type { Operation, readDocument } from './document.ts'
import type { Answer } from './exchange.ts'

type Misfit = ReturnType<typeof readDocument>['misfit']

/** Ours, wherever it shows: as the answer, or in a stream or a turn that was begun well. */
export const OURS = /"code":"(internal|sealed_unreadable|environment_invalid|data_locked)"/
/** Of our files and of what has thrown. */
export const INSIDES = /node_modules|\.ts:\d+|\n\s+at \w|\/work\/|SQLITE_|pg_catalog/
/** An operator, and operators are among those who ask, has stopped it. */
const STOPPED: ReadonlySet<ErrorCode> = new Set(['killed'])

/** Whether its documented statuses hold, and of what. */
export interface Asked {
  method: string
  isOfOperation: boolean
  operation?: Operation | undefined
}

/** What is wrong with an answer by itself. */
export function* wrongs(
  asked: Asked,
  { status, type, text, requestId }: Omit<Answer, 'etag' | 'headers'>,
  misfit: Misfit,
): Iterable<string> {
  const isJson = type.startsWith('application/json')
  const json: unknown = isJson && text !== '' ? parsed(text) : undefined
  const isKnown = asked.isOfOperation && asked.operation?.statuses.includes(status)
  if (!requestId) yield `${status} without x-request-id`
  const fault = OURS.exec(text)?.[1]
  if (status < 500 && fault) yield `${status} that tells of ${fault}`
  if (INSIDES.test(text)) yield `${status} that shows our insides`
  if (status < 400) {
    if (asked.isOfOperation && !isKnown) yield `${status} is not documented`
    const wrong = isKnown && asked.operation && json !== undefined ? misfit(asked.operation, status, json) : undefined
    if (wrong) yield `${status} does not fit: ${wrong}`
    return
  }
  if (asked.method === 'HEAD') return
  const error = (json as { error?: { code?: string; message?: unknown; type?: unknown; param?: unknown } } | undefined)
    ?.error
  const code = errorCodes.find((known) => known === error?.code)
  if (!error || !code || typeof error.message !== 'string' || typeof error.type !== 'string' || !('param' in error))
    yield `${status} not in the one shape`
  const isAllowed = code && status === 503 && (new ParleyError(code).retryable || STOPPED.has(code))
  if (status >= 500 && !isAllowed) yield `${status} ${code}`
  if (asked.isOfOperation && !isKnown) yield `${status} ${code} is not documented`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return 'not JSON'
  }
}
