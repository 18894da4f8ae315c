import type { ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { Fault } from '#config/fault.ts'
import { faultsOfSchema } from '#config/schema-faults.ts'

/** JSON Schema of an action's arguments, as its config version holds it. */
export type Parameters = Readonly<Record<string, unknown>>

export type Arguments = { value: Readonly<Record<string, unknown>> } | { refusal: string }

const MAX_ARGUMENTS_LENGTH = 262_144
/** What is nested deeper could exhaust the stack of who walks through it. */
const MAX_DEPTH = 200
const MAX_TOLD_FAULTS = 10
/** Providers refuse these at the top of a function's parameters. */
const NOT_AT_TOP = ['oneOf', 'anyOf', 'allOf', 'enum', 'not']

/** `format` is an annotation, as the standard has it by default. A keyword nobody knows is a typo. */
const options = { allErrors: true, verbose: true, validateFormats: false, logger: false } as const
const metaSchema = new Ajv2020({ ...options, strict: false })
const validators = new WeakMap<Parameters, ValidateFunction>()

/** What keeps a schema from describing the arguments of a function. Paths are within the schema. */
export function checkParameters(parameters: Parameters): Fault[] {
  const faults: Fault[] = NOT_AT_TOP.filter((keyword) => Object.hasOwn(parameters, keyword)).map((keyword) => {
    return { path: [keyword], message: 'is not allowed at the top of parameters: providers refuse it' }
  })
  if (parameters.type !== 'object') faults.push({ path: ['type'], message: 'must be "object"' })
  if (Object.hasOwn(parameters, '$async')) faults.push({ path: ['$async'], message: 'is not part of JSON Schema' })
  faults.push(...checkAgainstMetaSchema(parameters))
  if (faults.length > 0) return faults
  try {
    validatorOf(parameters)
    return []
  } catch (error) {
    const why = error instanceof Error ? error.message.replace('strict mode: ', '') : 'unknown'
    return [{ path: [], message: `is not a usable JSON Schema: ${why}` }]
  }
}

/** Reads what a model gave as arguments; a refusal says what to correct. Parameters have passed `checkParameters`. */
export function readArguments(parameters: Parameters, text: string): Arguments {
  if (text.length > MAX_ARGUMENTS_LENGTH) return { refusal: 'The arguments are too long.' }
  const value = parseObject(text)
  if (!value) return { refusal: 'The arguments have to be one JSON object.' }
  if (depthOf(value) > MAX_DEPTH) return { refusal: 'The arguments are nested too deeply.' }
  if (isRounded(text)) {
    return {
      refusal: 'The arguments have a number that cannot be kept exactly; it has too many digits or is too large.',
    }
  }
  const validate = validatorOf(parameters)
  try {
    if (validate(value)) return { value }
  } catch (error) {
    if (error instanceof RangeError) return { refusal: 'The arguments are nested too deeply.' }
    throw error
  }
  const faults = faultsOfSchema(validate.errors ?? []).slice(0, MAX_TOLD_FAULTS)
  const told = faults.map(({ path, message }) => `${path.join('.') || 'the object'} ${message}`)
  return { refusal: `The arguments do not fit: ${told.join('; ')}.` }
}

function checkAgainstMetaSchema(parameters: Parameters): Fault[] {
  try {
    if (metaSchema.validateSchema({ ...parameters })) return []
  } catch {
    return [{ path: ['$schema'], message: 'must be JSON Schema 2020-12' }]
  }
  // The meta-schema says the same from several sides.
  const byPath = Map.groupBy(faultsOfSchema(metaSchema.errors ?? []), ({ path }) => path.join('/'))
  return [...byPath.values()].flatMap((faults) => faults.slice(0, 1))
}

/** Compiled once per schema object, in an ajv of its own: what one schema defines is out of sight of all others. */
function validatorOf(parameters: Parameters): ValidateFunction {
  const known = validators.get(parameters)
  if (known) return known
  const ajv = new Ajv2020({
    ...options,
    meta: false,
    validateSchema: false,
    strictTypes: false,
    strictTuples: false,
  })
  const validate = ajv.compile(parameters)
  validators.set(parameters, validate)
  return validate
}

function depthOf(value: unknown): number {
  let level = [value]
  for (let depth = 0; ; depth++) {
    const containers = level.filter((item) => typeof item === 'object' && item !== null)
    if (containers.length === 0 || depth > MAX_DEPTH) return depth
    level = containers.flatMap((container) => Object.values(container as object))
  }
}

/** Whether an integer is not the one that was written, or a number has become infinite: it could name something else. */
function isRounded(text: string): boolean {
  if (!/\d{16}|\d[eE]/.test(text)) return false
  let found = false
  JSON.parse(text, (_, value: unknown, context?: { source?: string }) => {
    const source = context?.source
    if (typeof value !== 'number' || source === undefined) return value
    found ||= !Number.isFinite(value) || (/^-?\d+$/.test(source) && !Number.isSafeInteger(value))
    return value
  })
  return found
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
