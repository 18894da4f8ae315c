import { EgressFailure, EgressRefused, EgressUnusable } from '#platform/egress/egress.ts'
import { AnswerLostError, ASK_FOR_LESS, CorrectableError, PassingError } from '../executor.ts'
import { judge } from './verdict.ts'

/** What it means for the run that there is no answer to be had; errors that are not the egress's stay what they are. */
export function failureOf(error: unknown, maxResponseBytes: number, nowMs: number): unknown {
  if (error instanceof EgressRefused) {
    return error.sent ? new AnswerLostError(refusal(error)) : new CorrectableError(refusal(error))
  }
  if (error instanceof EgressFailure) return passing(error)
  return error instanceof EgressUnusable ? unusable(error, maxResponseBytes, nowMs) : error
}

function refusal({ reason }: EgressRefused): string {
  return reason === 'redirect'
    ? 'The tool led on to other addresses too often, or to one that is not safe.'
    : 'The tool is, or led on to, an address that is not permitted here.'
}

function passing({ reason, sent, cause }: EgressFailure): PassingError {
  const message = sent
    ? 'The tool did not answer to the end. Whether it did what was asked is not known.'
    : 'The tool could not be reached.'
  return new PassingError(message, { reason, untouched: !sent, cause })
}

/** The status still counts; only what was asked for and answered with too much or in a wrong way is lost. */
function unusable({ reason, status, headers }: EgressUnusable, maxResponseBytes: number, nowMs: number): unknown {
  if (status >= 300) {
    try {
      return judge({ status, headers, body: Buffer.alloc(0) }, nowMs)
    } catch (error) {
      return error
    }
  }
  const why = reason === 'too_large' ? `with more than ${maxResponseBytes} bytes, the limit` : 'compressed'
  return new AnswerLostError(
    `The tool did what was asked (status ${status}), but answered ${why}; the answer is lost. ${ASK_FOR_LESS}`,
  )
}
