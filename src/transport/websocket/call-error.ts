import type { ParleyError } from '#errors.ts'
import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import { asFault } from '../faults.ts'
import { type RpcError, rpcCodes } from './json-rpc.ts'

/** A fault as JSON-RPC tells it: the fields of our one error shape are its `data`. */
export function callError(thrown: unknown, log: Log, method: string): RpcError {
  const fault = asFault(thrown)
  const { message, ...body } = fault.toBody(newId('req')).error
  if (fault.code === 'internal') {
    log.error({ requestId: body.request_id, method, err: fault.cause ?? fault }, 'Call failed')
  }
  const { retryable, retryAfterMs } = fault
  const data = { ...body, retryable, ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }) }
  return { code: rpcCodeOf(fault), message, data }
}

function rpcCodeOf({ code }: ParleyError): number {
  if (code === 'invalid_request') return rpcCodes.invalidParams
  return code === 'internal' ? rpcCodes.internalError : rpcCodes.parleyError
}
