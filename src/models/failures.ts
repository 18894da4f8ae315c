import { type ErrorCode, ParleyError } from '#errors.ts'
import type { FailureReason } from './answer.ts'
import type { Refusal } from './providers/provider.ts'

/** What a status other than 200 means for the call: whose fault it is decides who tries next. */
export type Verdict =
  /** The request is at fault: no other model is asked, and the deployment is none the worse. */
  | { kind: 'rejected'; error: ParleyError }
  /** The deployment asks to be left alone. */
  | { kind: 'rate_limited'; coolMs: number }
  | { kind: 'failed'; reason: Extract<FailureReason, 'misconfigured' | 'server_error'> }

const DEFAULT_COOL_MS = 5000
const MIN_COOL_MS = 1000
const MAX_COOL_MS = 60_000
const MAX_MESSAGE_LENGTH = 500
/** Places among the calls of a model come free all the time. */
const BUSY_MS = 1000

export function judgeRefusal(refusal: Refusal): Verdict {
  const { status } = refusal
  if (status === 429) return { kind: 'rate_limited', coolMs: clampCool(refusal.retryAfterMs) }
  if (status === 400 || status === 413 || status === 422) return { kind: 'rejected', error: rejection(refusal.body) }
  const passing = status >= 500 || status === 408 || status === 409 || status === 425
  return { kind: 'failed', reason: passing ? 'server_error' : 'misconfigured' }
}

export function clampCool(retryAfterMs: number | undefined): number {
  return Math.min(MAX_COOL_MS, Math.max(MIN_COOL_MS, retryAfterMs ?? DEFAULT_COOL_MS))
}

/** Why no candidate answered, from what befell each before anything was visible. */
export interface Exhaustion {
  /** Of the calls that were made. */
  reasons: readonly FailureReason[]
  /** A candidate's queue was full, or waiting in it took too long. */
  busy: boolean
  /** Until the first of those that a 429 keeps away may be called again. */
  coolingMs: number | undefined
  /** The prompt fits no candidate's window. */
  overflow: unknown
  cause: unknown
}

/** What can pass by itself comes first: a caller should try again, unless nothing but a person can help. */
export function exhausted({ reasons, busy, coolingMs, overflow, cause }: Exhaustion): unknown {
  const broken = reasons.filter((reason) => reason !== 'rate_limited' && reason !== 'misconfigured')
  if (broken.length > 0) return failure(broken.every(isTimeout) ? 'model_timeout' : 'model_failed', cause)
  if (busy) return failure('models_busy', cause, BUSY_MS)
  if (coolingMs !== undefined || reasons.includes('rate_limited')) {
    const message = 'All models of this route are rate limited.'
    return new ParleyError('rate_limited', { message, retryAfterMs: coolingMs ?? MIN_COOL_MS, cause })
  }
  if (reasons.length > 0) return failure('model_misconfigured', cause)
  return overflow ?? failure('models_unavailable', cause)
}

function failure(code: ErrorCode, cause: unknown, retryAfterMs?: number): ParleyError {
  return new ParleyError(code, { cause, ...(retryAfterMs !== undefined && { retryAfterMs }) })
}

function isTimeout(reason: FailureReason): boolean {
  return reason === 'connect_timeout' || reason === 'first_token_timeout' || reason === 'stalled'
}

interface ErrorFields {
  message?: unknown
  code?: unknown
  param?: unknown
  innererror?: { code?: unknown }
}

/** https://platform.openai.com/docs/guides/error-codes and Azure's content filter, which nests its code. */
function rejection(body: string): ParleyError {
  const { message, code, param, innererror } = errorFields(body)
  const codes = [code, innererror?.code]
  if (codes.some((one) => one === 'content_filter' || one === 'ResponsibleAIPolicyViolation')) {
    return new ParleyError('content_filtered')
  }
  const about = {
    ...(typeof message === 'string' && message !== '' && { message: safeMessage(message) }),
    ...(typeof param === 'string' && /^[\w.[\]-]{1,200}$/.test(param) && { param }),
  }
  return new ParleyError(code === 'context_length_exceeded' ? 'context_overflow' : 'provider_rejected', about)
}

function errorFields(body: string): ErrorFields {
  try {
    return JSON.parse(body).error ?? {}
  } catch {
    return {}
  }
}

/** A provider's sentence without what a caller has no business to see: addresses, keys, control characters. */
function safeMessage(message: string): string {
  return message
    .slice(0, 4 * MAX_MESSAGE_LENGTH)
    .replace(/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, '[address]')
    .replace(/\b(?:sk-|key-|bearer\s+)\S+|\b(?=[\w-]*\d)[\w-]{32,}/gi, '[secret]')
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, MAX_MESSAGE_LENGTH)
    .toWellFormed()
}
