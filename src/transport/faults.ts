import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, errorCodes, ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import { limitHeaders } from './limit-headers.ts'

/** What the framework or a handler threw, as one of ours. */
export function asFault(thrown: unknown): ParleyError {
  if (thrown instanceof ParleyError) return thrown
  const error = thrown as Partial<FastifyError>
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ParleyError('body_too_large')
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_INVALID_TYPE':
    // Of a QUERY request, before its address is looked at.
    case 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE':
      return new ParleyError('unsupported_media_type')
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new ParleyError('invalid_request', { message: 'The body is shorter than its content-length.' })
    case 'FST_ERR_BAD_URL':
      return new ParleyError('invalid_request', { message: 'The path is not a valid URL component.' })
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new ParleyError('not_found')
    case 'ECONNRESET':
      return new ParleyError('invalid_request', {
        message: 'The connection was closed before the body had arrived.',
        cause: thrown,
      })
    default:
      return new ParleyError('internal', { cause: thrown })
  }
}

/** What a turn that failed says of it, as one of ours again. */
export function recallFault({ code, message }: { code: string; message: string }, retryAfterMs?: number): ParleyError {
  return isErrorCode(code)
    ? new ParleyError(code, { message, ...(retryAfterMs !== undefined && { retryAfterMs }) })
    : new ParleyError('internal', { cause: new Error(`${code}: ${message}`) })
}

function isErrorCode(code: string): code is ErrorCode {
  return (errorCodes as string[]).includes(code)
}

/** Answers with the one shape of errors; faults of our own side are logged with their cause. */
export function sendFault(fault: ParleyError, request: FastifyRequest, reply: FastifyReply, log: Log): FastifyReply {
  if (fault.code === 'internal') {
    log.error({ requestId: request.id, route: request.routeOptions.url, err: fault.cause ?? fault }, 'Request failed')
  }
  if (fault.status === 401) reply.header('www-authenticate', 'Bearer')
  if (fault.limits) reply.headers(limitHeaders(fault.limits))
  if (fault.retryAfterMs !== undefined) reply.header('retry-after', retryAfterSeconds(fault.retryAfterMs))
  return reply.code(fault.status).send(fault.toBody(request.id))
}

function retryAfterSeconds(retryAfterMs: number): string {
  return String(Math.max(1, Math.ceil(retryAfterMs / 1000)))
}
