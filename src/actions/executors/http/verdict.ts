import type { EgressResponse } from '#platform/egress/egress.ts'
import { AnswerLostError, CorrectableError, PassingError } from '../executor.ts'
import { excerptOf, valueOfBody } from './answer-body.ts'
import { retryAfterMs } from './retry-after.ts'

/** Statuses below 500 that may be another one next time. */
const PASSING: ReadonlyMap<number, { reason: string; untouched: boolean }> = new Map([
  // A gateway may say so after the target has begun.
  [408, { reason: 'request_timeout', untouched: false }],
  [425, { reason: 'too_early', untouched: true }],
  [429, { reason: 'rate_limited', untouched: true }],
])

/** What a tool's answer comes to: its value, `CorrectableError` with its own words, `AnswerLostError`, or `PassingError`. */
export function judge(response: EgressResponse, nowMs: number): unknown {
  const { status, headers } = response
  if (status >= 200 && status < 300) return valueOfBody(response)
  const passing = status >= 500 ? { reason: 'server_error', untouched: false } : PASSING.get(status)
  if (passing) {
    const wait = retryAfterMs(headers['retry-after'], nowMs)
    const options = wait === undefined ? passing : { ...passing, retryAfterMs: wait }
    throw new PassingError(`The tool answered with the status ${status}.`, options)
  }
  if (status < 400) {
    const unknown = 'which was not followed. Whether it did what was asked is not known.'
    throw new AnswerLostError(`The tool answered with a redirect (${status}), ${unknown}`)
  }
  const excerpt = excerptOf(response)
  const words = excerpt === undefined ? '' : ` It says: ${JSON.stringify(excerpt)}`
  throw new CorrectableError(`The tool refused with the status ${status}.${words}`)
}
