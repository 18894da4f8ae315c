import type { JsonSchemas } from './json-schema.ts'
import { isObject, type Json, listOf, resolved, Unusable } from './references.ts'

/** The JSON body of an operation. */
export interface Body {
  mediaType: string
  required: boolean
  /** The argument `body` is the body; otherwise each of `properties` is an argument of its own. */
  whole: boolean
  /** Names and schemas of the arguments that it is made of. */
  properties: readonly (readonly [string, unknown])[]
  /** Those that a body has to have, if there is one. */
  requiredProperties: readonly string[]
}

const MAX_PARTS = 64

/**
 * An object's properties become arguments, unless one has the name of a parameter; what is not plainly an object becomes
 * the one argument `body`. Undefined where the operation takes none, or none that is JSON. Throws `Unusable`.
 */
export function bodyOf(
  document: Json,
  value: unknown,
  taken: ReadonlySet<string>,
  schemas: JsonSchemas,
): Body | undefined {
  const raw = resolved(document, value)
  if (!raw) return undefined
  const required = raw.required === true
  const types = isObject(raw.content) ? Object.entries(raw.content) : []
  const [mediaType, media] = types.find(([type]) => /^application\/([\w.+-]+\+)?json$/i.test(type.trim())) ?? []
  if (mediaType === undefined) {
    if (required) throw new Unusable('takes a body that is not JSON')
    return undefined
  }
  const schema = resolved(document, media)?.schema ?? {}
  const parts = partsOf(document, schema)
  const properties = parts?.flatMap((part) => writable(document, part, schemas))
  if (!parts || !properties || properties.length === 0 || properties.some(([name]) => taken.has(name))) {
    if (taken.has('body')) throw new Unusable('has a body and a parameter with the name "body"')
    const whole: readonly [string, unknown] = ['body', schemas.convert(schema)]
    return { mediaType, required, whole: true, properties: [whole], requiredProperties: ['body'] }
  }
  const names = new Set(properties.map(([name]) => name))
  const needed = parts.flatMap((part) => listOf(part.required)).filter((name) => typeof name === 'string')
  const requiredProperties = [...new Set(needed)].filter((name) => names.has(name))
  return { mediaType, required, whole: false, properties, requiredProperties }
}

/** The object schemas that together make up the body; undefined when it is something else, or one of several. */
function partsOf(document: Json, schema: unknown): readonly Json[] | undefined {
  const parts: Json[] = []
  const open: unknown[] = [schema]
  for (let at = open.shift(); at !== undefined; at = open.shift()) {
    const part = resolved(document, at)
    if (!part || part.oneOf || part.anyOf || part.not || part.if || part.patternProperties) return undefined
    if (part.type !== undefined && part.type !== 'object') return undefined
    if (isObject(part.additionalProperties) || part.additionalProperties === true) return undefined
    parts.push(part)
    // A circle of allOf describes nothing.
    if (parts.length > MAX_PARTS) return undefined
    open.push(...listOf(part.allOf))
  }
  return parts
}

/** What the target fills in itself is not asked for. */
function writable(document: Json, part: Json, schemas: JsonSchemas): (readonly [string, unknown])[] {
  const properties = isObject(part.properties) ? Object.entries(part.properties) : []
  return properties
    .filter(([, schema]) => resolved(document, schema)?.readOnly !== true)
    .map(([name, schema]) => [name, schemas.convert(schema)])
}
