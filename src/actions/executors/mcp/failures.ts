import { ProtocolError, ProtocolErrorCode, SdkError, SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client'
import { EgressRefused } from '#platform/egress/egress.ts'
import { AnswerLostError, CorrectableError, IdentityNeeded, PassingError } from '../executor.ts'
import { clipped, tooLarge } from './result.ts'

/** Ours, for a stream that ended without the answer it was opened for; JSON-RPC leaves this range to implementations. */
export const LOST_CODE = -32_099
const FIRST_SERVER_CODE = -32_000
const LAST_SERVER_CODE = -32_099

/** What Node reports when there was never a connection, so that nothing can have been sent. */
const NO_CONNECTION = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** What a call of a tool failed with, as executors say it. */
export function failureOf(error: unknown): Error {
  if (isOurs(error)) return error
  if (errorsOf(error).some((each) => each instanceof EgressRefused)) {
    return new CorrectableError('The MCP server is at an address that is not permitted here.')
  }
  if (error instanceof ProtocolError) return protocolFailure(error)
  if (error instanceof SdkError) return localFailure(error)
  if (causes(error).some((code) => NO_CONNECTION.has(code))) return unreachable(error)
  // `fetch` fails with a TypeError when the connection breaks, reading its body with that or an AbortError.
  if (error instanceof TypeError || causes(error).length > 0) return connectionLost(error)
  return error instanceof Error ? error : new Error('The MCP client failed.', { cause: error })
}

/** The server was never reached. */
export function unreachable(cause: unknown): PassingError {
  const reason = 'connect_failed'
  return new PassingError('The MCP server is out of reach.', { reason, untouched: true, cause })
}

export function notAllowed(): CorrectableError {
  return new CorrectableError('The MCP server does not allow this to the user.')
}

/** Whether a new connection is needed: what this one was for is gone. */
export function endsConnection(error: unknown): boolean {
  const reasons = ['connect_failed', 'connection_lost', 'session_lost']
  return error instanceof PassingError && reasons.includes(error.reason)
}

function isOurs(error: unknown): error is Error {
  const ours = [PassingError, CorrectableError, AnswerLostError, IdentityNeeded]
  return ours.some((kind) => error instanceof kind)
}

function connectionLost(cause: unknown): PassingError {
  return new PassingError('The connection to the MCP server broke before it answered.', {
    reason: 'connection_lost',
    cause,
  })
}

function protocolFailure(error: ProtocolError): Error {
  const { code, message, data } = error
  if (code === LOST_CODE) return isTooLarge(data) ? tooLarge() : connectionLost(error)
  if (code === ProtocolErrorCode.InvalidParams) return new CorrectableError(clipped(message))
  const passing = code === ProtocolErrorCode.InternalError || (code <= FIRST_SERVER_CODE && code >= LAST_SERVER_CODE)
  if (passing) return new PassingError('The MCP server failed.', { reason: 'server_error', cause: error })
  return new Error('The MCP server refused the request.', { cause: error })
}

function localFailure(error: SdkError): Error {
  if (error instanceof SdkHttpError && (error.status === 401 || error.status === 403)) return notAllowed()
  switch (error.code) {
    case SdkErrorCode.NotConnected:
    case SdkErrorCode.SendFailed:
      return unreachable(error)
    case SdkErrorCode.ConnectionClosed:
      return connectionLost(error)
    case SdkErrorCode.UnsupportedResultType:
      return new CorrectableError('The tool asks a person for more, and nobody can answer it here.')
    default:
      return new Error('The MCP server answered something that is not to be used.', { cause: error })
  }
}

function isTooLarge(data: unknown): boolean {
  return typeof data === 'object' && data !== null && 'tooLarge' in data && data.tooLarge === true
}

function causes(error: unknown): string[] {
  return errorsOf(error).flatMap((each) => ('code' in each && typeof each.code === 'string' ? [each.code] : []))
}

/** An error, what caused it, and what it is made of. */
function errorsOf(error: unknown): Error[] {
  if (!(error instanceof Error)) return []
  const parts = error instanceof AggregateError ? error.errors.flatMap(errorsOf) : []
  return [error, ...parts, ...errorsOf(error.cause)]
}
