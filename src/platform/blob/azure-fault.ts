import type { ParleyError } from '#errors.ts'
import { unavailable } from './limits.ts'

/** What the service says of an error, or the network: `BlobNotFound`, `ECONNREFUSED`. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const details = 'details' in error && error.details
  // An answer without a body says it in a header, which the client keeps elsewhere.
  if (typeof details === 'object' && details && 'errorCode' in details && details.errorCode)
    return String(details.errorCode)
  if ('code' in error && typeof error.code === 'string') return error.code
  return error.name
}

export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined
}

export const isMissingBlob = (error: unknown) =>
  statusOf(error) === 404 && codeOf(error) !== 'ContainerNotFound' && codeOf(error) !== 'ResourceNotFound'

/** A condition that does not hold: somebody else was there before. Other conflicts, such as of a container that is being deleted, are faults. */
export function isConditionLost(error: unknown): boolean {
  return statusOf(error) === 412 || codeOf(error) === 'BlobAlreadyExists'
}

/** Somebody else has the lease, or nobody has it any more. */
export function isLeaseLost(error: unknown): boolean {
  return statusOf(error) === 412 || (statusOf(error) === 409 && codeOf(error).startsWith('Lease'))
}

/**
 * The client's errors carry the request, whose URL may hold a SAS, and what was signed: only their code and status go on, and the
 * number by which the vendor's support finds the request.
 */
export function blobFault(error: unknown): ParleyError {
  const code = codeOf(error)
  const status = statusOf(error)
  const id = requestIdOf(error)
  const cause = new Error([code, status, id].filter(Boolean).join(' '))
  if (status === 401 || status === 403) return unavailable(`Blob Storage refuses the credential (${code}).`, cause)
  if (code === 'ContainerNotFound' || code === 'ContainerBeingDeleted') {
    return unavailable(`There is no such container in Blob Storage (${code}).`, cause)
  }
  return unavailable(`Blob Storage is out of reach (${code}).`, cause)
}

function requestIdOf(error: unknown): string | undefined {
  const details = error instanceof Error && 'details' in error && error.details
  return typeof details === 'object' && details && 'requestId' in details ? String(details.requestId) : undefined
}
