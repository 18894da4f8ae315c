import { ParleyError } from '#errors.ts'

/** Whoever comes from a tenant that is not served here, or is not any more, by whatever they come with. */
export function unserved(): ParleyError {
  return new ParleyError('unauthenticated', { message: 'Tokens of this tenant are not accepted.', param: 'tid' })
}
