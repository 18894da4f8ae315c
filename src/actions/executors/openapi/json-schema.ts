import { isObject, type Json, pointed, Unusable } from './references.ts'

const MAX_DEPTH = 64
/** Keywords whose value is a map of schemas, a list of schemas, and a schema. The values of all others are data. */
const MAPS = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])
const LISTS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const SINGLES = new Set([
  'items',
  'additionalProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
  'propertyNames',
  'contains',
  'not',
  'if',
  'then',
  'else',
])
/** Of OpenAPI, and nothing to JSON Schema; the last is of neither, and would be the prototype of what is made here. */
const DROPPED = new Set(['nullable', 'discriminator', 'xml', 'externalDocs', 'example', '__proto__'])

/**
 * Schemas of an OpenAPI document as JSON Schema (2020-12) that stands by itself: what is referred to is kept once in `$defs`,
 * so that recursion stays recursion and no nesting of references can blow it up. What 3.0 writes in its own way (`nullable`,
 * `exclusiveMinimum: true`) is put as 3.1 does.
 */
export class JsonSchemas {
  readonly #document: Json
  readonly #old: boolean
  readonly #names = new Map<string, string>()
  readonly #definitions: Record<string, unknown> = Object.create(null)

  constructor(document: Json) {
    this.#document = document
    this.#old = String(document.openapi).startsWith('3.0')
  }

  /** Definitions of all that was referred to so far; undefined when nothing was. */
  get definitions(): Json | undefined {
    return this.#names.size === 0 ? undefined : { ...this.#definitions }
  }

  /** Throws `Unusable`. */
  convert(schema: unknown, depth = 0): unknown {
    if (!isObject(schema)) return schema === false ? false : {}
    if (depth > MAX_DEPTH) throw new Unusable(`has a schema nested deeper than ${MAX_DEPTH} levels`)
    const converted: Record<string, unknown> = {}
    for (const [keyword, value] of Object.entries(schema)) {
      if (keyword === '$ref' && typeof value === 'string') converted.$ref = this.#reference(value)
      else if (MAPS.has(keyword) && isObject(value)) converted[keyword] = this.#convertMap(value, depth)
      else if (LISTS.has(keyword) && Array.isArray(value)) {
        converted[keyword] = value.map((part) => this.convert(part, depth + 1))
      } else if (SINGLES.has(keyword)) {
        converted[keyword] = value === true ? true : this.convert(value, depth + 1)
      } else if (!DROPPED.has(keyword) && !keyword.startsWith('x-')) converted[keyword] = value
    }
    return this.#old ? modern(schema, converted) : converted
  }

  #convertMap(map: Json, depth: number): Json {
    return Object.fromEntries(Object.entries(map).map(([name, part]) => [name, this.convert(part, depth + 1)]))
  }

  #reference(reference: string): string {
    const known = this.#names.get(reference)
    if (known !== undefined) return `#/$defs/${known}`
    const target = pointed(this.#document, reference)
    const last = (reference.split('/').at(-1) ?? '').replace(/[^A-Za-z0-9_.-]/g, '_')
    const name = Object.hasOwn(this.#definitions, last) ? `${last}_${this.#names.size}` : last
    this.#names.set(reference, name)
    // Taken before what it holds is converted, which may refer to it in turn.
    this.#definitions[name] = {}
    this.#definitions[name] = this.convert(target)
    return `#/$defs/${name}`
  }
}

function modern({ nullable, type, minimum, maximum, enum: values }: Json, converted: Record<string, unknown>): Json {
  if (nullable === true && typeof type === 'string') {
    converted.type = [type, 'null']
    if (Array.isArray(values) && !values.includes(null)) converted.enum = [...values, null]
  }
  for (const [keyword, bound, limit] of [
    ['exclusiveMinimum', 'minimum', minimum],
    ['exclusiveMaximum', 'maximum', maximum],
  ] as const) {
    if (typeof converted[keyword] !== 'boolean') continue
    if (converted[keyword] === true) {
      delete converted[bound]
      converted[keyword] = limit
    } else delete converted[keyword]
  }
  return converted
}
