import { ParleyError } from '#errors.ts'

/** What opens nothing any more because its key was destroyed; not what a missing master key keeps shut. */
export function isErased(error: unknown): boolean {
  return error instanceof ParleyError && error.code === 'erased'
}

/** What is damaged, or shut as long as its master key is missing. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof ParleyError && error.code === 'sealed_unreadable'
}

/** For whoever asks, what was erased is not there: as any other that is not. Other errors stay as they are. */
export function asGone(error: unknown, code: 'conversation_not_found' | 'turn_not_found'): unknown {
  return isErased(error) ? new ParleyError(code, { cause: error }) : error
}

/** The same for the failure of a promise. */
export function throwAsGone(code: 'conversation_not_found' | 'turn_not_found'): (error: unknown) => never {
  return (error) => {
    throw asGone(error, code)
  }
}
