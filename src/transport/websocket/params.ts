import type { Static, TSchema } from 'typebox'
import { compileValidator } from '../validation.ts'

/** Checks the parameters of a call; throws invalid_request, which names the one at fault. */
export function paramsReader<Schema extends TSchema>(schema: Schema): (params: object) => Static<Schema> {
  const validate = compileValidator({ schema, method: '', url: '', httpPart: 'body' })
  return (params) => {
    const verdict = validate(params)
    if ('error' in verdict) throw verdict.error
    return verdict.value as Static<Schema>
  }
}
