import type { ErrorObject } from 'ajv'
import type { Fault } from './fault.ts'

const TYPES: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
}

/** The errors of an ajv validator (options `allErrors` and `verbose`) in words that name what to correct. */
export function faultsOfSchema(errors: readonly ErrorObject[]): Fault[] {
  const choices = errors.filter((error) => choiceOf(error) !== undefined).map((error) => `${error.schemaPath}/`)
  return errors
    .filter((error) => !choices.some((choice) => error.schemaPath.startsWith(choice)))
    .map((error) => faultOf(error))
}

function faultOf(error: ErrorObject): Fault {
  const path = segmentsOf(error.instancePath)
  const { params } = error
  switch (error.keyword) {
    case 'required':
      return { path: [...path, params.missingProperty], message: 'is missing' }
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return { path: [...path, unknownProperty(params)], message: unknownMessage(error) }
    case 'uniqueItems':
      return { path: [...path, Math.max(params.i, params.j)], message: 'is there twice' }
    case 'type':
      return { path, message: `must be ${[params.type].flat().map(wordOf).join(' or ')}` }
    case 'enum':
      return { path, message: oneOf(params.allowedValues) }
    case 'const':
      return { path, message: oneOf([params.allowedValue]) }
    case 'format':
      return { path, message: `is not a valid ${params.format}` }
    case 'minLength':
    case 'minItems':
    case 'minProperties':
      return { path, message: params.limit === 1 ? 'must not be empty' : plainMessage(error) }
    default:
      return { path, message: choiceOf(error) ?? plainMessage(error) }
  }
}

/** A union of constants reads as one list of choices instead of a complaint per constant. */
function choiceOf(error: ErrorObject): string | undefined {
  if (error.keyword !== 'anyOf' || !Array.isArray(error.schema)) return undefined
  const constants = error.schema.map((schema) => schema.const)
  return constants.includes(undefined) ? undefined : oneOf(constants)
}

function oneOf(values: readonly unknown[]): string {
  const listed = values.map((value) => JSON.stringify(value)).join(', ')
  return values.length === 1 ? `must be ${listed}` : `must be one of ${listed}`
}

function unknownProperty(params: ErrorObject['params']): string {
  return params.additionalProperty ?? params.unevaluatedProperty
}

function unknownMessage({ parentSchema }: ErrorObject): string {
  const patterns = Object.keys(parentSchema?.patternProperties ?? {})
  if (patterns.length > 0) return `is not a name that can be used here (${patterns.join(', ')})`
  const known = Object.keys(parentSchema?.properties ?? {})
  return known.length > 0 ? `is not known here; known are: ${known.join(', ')}` : 'is not known here'
}

function wordOf(type: string): string {
  return TYPES[type] ?? type
}

function plainMessage({ message }: ErrorObject): string {
  return (message ?? 'is not valid').replace('NOT', 'not')
}

function segmentsOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))
}
