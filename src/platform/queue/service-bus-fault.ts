import { ParleyError } from '#errors.ts'
import { unavailable } from './limits.ts'
import { LockLostError } from './queue.ts'

const lockLost = new Set(['MessageLockLost', 'SessionLockLost', 'MessageNotFound'])
const unauthorized = new Set(['UnauthorizedAccess', 'UnauthorizedError'])
/** The broker is there and says no for the moment. */
const refused = new Set(['ServiceBusy', 'QuotaExceeded', 'MessageSizeExceeded', 'MessagingEntityDisabled'])

/** What an error of the client of Service Bus is to callers of the port. */
export function queueFault(error: unknown): ParleyError | LockLostError | RangeError {
  if (error instanceof ParleyError || error instanceof LockLostError || error instanceof RangeError) return error
  if (causesOf(error).some(isLockLost)) return new LockLostError(error)
  return unavailable(error)
}

/** Whether the error leaves in doubt that the broker can be reached. */
export function isDoubtful(error: unknown): boolean {
  return !causesOf(error).some((cause) => isLockLost(cause) || refused.has(codeOf(cause)))
}

export function isNotFound(error: unknown): boolean {
  return causesOf(error).some((cause) => codeOf(cause) === 'MessageNotFound')
}

/** The broker does not take the credential. */
export function isUnauthorized(error: unknown): boolean {
  return causesOf(error).some((cause) => unauthorized.has(codeOf(cause)))
}

/** Retries that were all in vain arrive together, without a code of their own. */
function causesOf(error: unknown): unknown[] {
  return error instanceof AggregateError ? error.errors : [error]
}

function isLockLost(error: unknown): boolean {
  if (lockLost.has(codeOf(error))) return true
  return error instanceof Error && /already settled/i.test(error.message)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
