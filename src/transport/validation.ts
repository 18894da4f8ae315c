import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifyRouteSchemaDef } from 'fastify/types/schema.js'
import { ParleyError } from '#errors.ts'

// A body is taken as it is; paths and queries are text, so numbers are read from them.
const exact = new Ajv()
const textual = new Ajv({ coerceTypes: true })

type Verdict = { value: unknown } | { error: ParleyError }

/** Compiles at the first use, so that schemas cost nothing at the start. */
export function compileValidator({ schema, httpPart }: FastifyRouteSchemaDef<unknown>): (data: unknown) => Verdict {
  const ajv = httpPart === 'body' ? exact : textual
  let validate: ValidateFunction | undefined
  return (data) => {
    validate ??= ajv.compile(schema as object)
    return validate(data)
      ? { value: data }
      : { error: refusal(mostTelling(validate.errors ?? []), httpPart ?? 'request') }
  }
}

/** Of a value that may have one of several shapes, the fault that lies deepest belongs to the shape that was meant. */
function mostTelling(faults: readonly ErrorObject[]): ErrorObject | undefined {
  const depthOf = (fault: ErrorObject) => fault.instancePath.split('/').length
  return faults.reduce<ErrorObject | undefined>(
    (best, fault) => (best && depthOf(best) >= depthOf(fault) ? best : fault),
    undefined,
  )
}

/** Names the parameter at fault as a path: `message`, `parameters.0.name`. */
function refusal(fault: ErrorObject | undefined, part: string): ParleyError {
  if (!fault) return new ParleyError('invalid_request')
  const named: unknown = fault.params.missingProperty ?? fault.params.additionalProperty
  const path = fault.instancePath.split('/').slice(1).map(unescapePointer)
  if (typeof named === 'string') path.push(named)
  if (path.length === 0) return new ParleyError('invalid_request', { message: `The ${part} ${describe(fault)}.` })
  const param = path.join('.')
  return new ParleyError('invalid_request', { message: `\`${param}\` ${describe(fault)}.`, param })
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~')
}

function describe(fault: ErrorObject): string {
  if (fault.keyword === 'required') return 'is missing'
  if (fault.keyword === 'additionalProperties') return 'is not known here'
  if (fault.keyword === 'enum') return `must be one of ${(fault.params.allowedValues as unknown[]).join(', ')}`
  return fault.message ?? 'is not valid'
}
