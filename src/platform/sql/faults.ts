import { DatabaseError } from 'pg'
import { ParleyError } from '#errors.ts'
import { ConstraintError } from './sql.ts'

/** What callers meet instead of what the driver or the server said. A `RangeError` is ours, and tells of a fault of the program. */
export function translate(thrown: unknown): Error {
  if (thrown instanceof ParleyError || thrown instanceof ConstraintError || thrown instanceof RangeError) return thrown
  if (!(thrown instanceof DatabaseError)) return unavailable(thrown)
  return constraintFault(thrown) ?? (isOutage(thrown.code) || isStale(thrown) ? unavailable(thrown) : thrown)
}

export function unavailable(cause?: unknown): ParleyError {
  return new ParleyError('database_unavailable', { cause })
}

export function isUnavailable(error: unknown): error is ParleyError {
  return error instanceof ParleyError && error.code === 'database_unavailable'
}

/** A deadlock, or a lost race for a snapshot: nothing was kept, and the same again may succeed. */
export function isContention(error: unknown): boolean {
  const said = saidBy(error)
  return said?.code === '40P01' || said?.code === '40001'
}

/**
 * A statement prepared on this connection has other columns than it had then, since a newer replica has migrated: nothing was
 * kept, and another connection does better. By its code alone it is some feature that is missing.
 */
export function isStale(error: unknown): boolean {
  const said = saidBy(error)
  return said?.code === '0A000' && said.routine === 'RevalidateCachedQuery'
}

/** The server is about to close this connection, or it leads to one that takes no writes any more. */
export function endsConnection(error: unknown): boolean {
  const said = saidBy(error)
  return said?.severity === 'FATAL' || said?.severity === 'PANIC' || said?.code === '25006'
}

function saidBy(error: unknown): DatabaseError | undefined {
  const said = isUnavailable(error) ? error.cause : error
  return said instanceof DatabaseError ? said : undefined
}

const constraintKinds = new Map<string, ConstraintError['kind']>([
  ['23505', 'unique'],
  ['23503', 'foreign-key'],
  ['23001', 'foreign-key'],
  ['23514', 'check'],
  ['23502', 'not-null'],
])

function constraintFault(error: DatabaseError): ConstraintError | undefined {
  const kind = constraintKinds.get(error.code ?? '')
  if (kind) return new ConstraintError(kind, error.constraint ?? `${error.table}.${error.column}`, error)
  // It shares its code with missing privileges, and names its table in the message only.
  if (error.code !== '42501' || error.routine !== 'ExecWithCheckOptions') return undefined
  return new ConstraintError('row-security', /"([^"]+)"[^"]*$/.exec(error.message)?.[1] ?? 'unknown', error)
}

/**
 * Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html under which a good statement fails:
 * no connection, no sign-in, no such database, no resources, a statement cut off, a server that stops or starts, a server
 * that only reads, broken storage; and contention that outlasted every retry.
 */
function isOutage(code = ''): boolean {
  return /^(08|28|53|57|58)/.test(code) || ['3D000', '25006', '25P03', '40P01', '40001'].includes(code)
}
