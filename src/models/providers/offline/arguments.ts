import { findArithmetic } from './arithmetic.ts'
import { asSaying, readSaying, type Saying } from './saying.ts'

type Schema = Readonly<Record<string, unknown>>

const MAX_DEPTH = 8
const ABOUT_ZONES = /zone|^tz$/i
const ABOUT_PLACES = /^(?:city|town|place|location|country|region|address|destination)$/i
const NAMED_PLACE = /\b(?:in|at|for|to|of|near) (\p{Lu}[\p{L}'’-]*(?:,? \p{Lu}[\p{L}'’-]*)*)/u
const NUMBER = /-?\d+(?:\.\d+)?/g

/** The arguments of a function in words: what its JSON Schema requires, and what else the words clearly hold. */
export function fillArguments(parameters: unknown, words: string): Record<string, unknown> {
  return fillObject(asSchema(parameters), readSaying(words), 0)
}

/** A value that fits a JSON Schema, with the words where it wants a text. */
export function fillSchema(schema: unknown, words: string): unknown {
  return fill(asSchema(schema), '', asSaying(words), 0)
}

function fillObject(schema: Schema, saying: Saying, depth: number): Record<string, unknown> {
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  const filled: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(asSchema(schema.properties))) {
    const property = asSchema(given)
    const found = find(property, name, saying)
    if (found !== undefined) filled[name] = found
    else if (required.has(name)) filled[name] = fill(property, name, saying, depth + 1)
  }
  return filled
}

/** A value that fits the schema, taken from the words where they have one. */
function fill(schema: Schema, name: string, saying: Saying, depth: number): unknown {
  const { words } = saying
  const found = find(schema, name, saying)
  if (found !== undefined) return found
  if ('const' in schema) return schema.const
  if ('default' in schema) return schema.default
  if (Array.isArray(schema.enum)) return schema.enum[0]
  switch (typeOf(schema)) {
    case 'object':
      return depth < MAX_DEPTH ? fillObject(schema, saying, depth) : {}
    case 'array':
      return depth < MAX_DEPTH && Number(schema.minItems ?? 0) > 0
        ? [fill(asSchema(schema.items), name, saying, depth + 1)]
        : []
    case 'number':
    case 'integer':
      return anyNumber(words, schema) ?? schema.minimum ?? 0
    case 'boolean':
      return !/\bno(?:t|ne)?\b/i.test(words)
    case 'null':
      return null
    default:
      if (ABOUT_ZONES.test(name)) return 'UTC'
      return textFor(name, saying).slice(0, typeof schema.maxLength === 'number' ? schema.maxLength : undefined)
  }
}

/** A value that the words clearly hold for this property. */
function find(schema: Schema, name: string, { words, request }: Saying): unknown {
  if (Array.isArray(schema.enum)) return choose(schema.enum, name, words, request)
  const type = typeOf(schema)
  const said = sayingOf(name, words)
  if (type === 'number' || type === 'integer') return said === undefined ? undefined : anyNumber(said, schema)
  if (type !== 'string') return undefined
  if (ABOUT_ZONES.test(name)) return findZone(words) ?? said
  if (said) return said
  if (/expr|formula|calculation|arithmetic/i.test(name)) return findArithmetic(words)
  return /["“]([^"”]+)["”]/.exec(words)?.[1]
}

/** The value that stands beside the property's name; else one that the request mentions. */
function choose(values: readonly unknown[], name: string, words: string, request: string): unknown {
  const beside = (value: string) =>
    name !== '' &&
    (mentions(words, `${value} ${name}`) || mentions(words, `${value}-${name}`) || mentions(words, `${name} ${value}`))
  return (
    values.find(
      (value) => beside(String(value)) || sayingOf(name, words)?.toLowerCase() === String(value).toLowerCase(),
    ) ?? values.find((value) => mentions(request, String(value)))
  )
}

/** What a text is to hold: the subject, what "the … <name>" names, or all that was said. */
function textFor(name: string, { words, request, subject }: Saying): string {
  if (subject !== undefined) return subject
  const place = ABOUT_PLACES.test(name) && NAMED_PLACE.exec(request)?.[1]
  if (place) return place
  const named = new RegExp(`\\b(?:the|an?|our|my) ([^\\s,.;:!?]{1,50}) ${RegExp.escape(name)}\\b`, 'i')
  return (name !== '' && named.exec(request)?.[1]) || words.trim()
}

/** What follows the property's name: `title: …`, `title is …`. */
function sayingOf(name: string, words: string): string | undefined {
  const saying = new RegExp(`\\b${RegExp.escape(name)}\\b["']?\\s*(?:is|=|:)\\s*["“]?([^"”,;\\n]+)`, 'i')
  return name === '' ? undefined : saying.exec(words)?.[1]?.trim()
}

function anyNumber(words: string, schema: Schema): number | undefined {
  const numbers = words.match(NUMBER)?.map(Number) ?? []
  return numbers.find((number) => typeOf(schema) === 'number' || Number.isInteger(number))
}

/** A zone by its name, or by the city it is named after. */
function findZone(words: string): string | undefined {
  const zones = Intl.supportedValuesOf('timeZone')
  const byName = zones.find((zone) => words.includes(zone))
  const byCity = () => zones.find((zone) => mentions(words, zone.slice(zone.lastIndexOf('/') + 1).replaceAll('_', ' ')))
  return byName ?? byCity() ?? (/\b(?:UTC|GMT)\b/i.test(words) ? 'UTC' : undefined)
}

function mentions(words: string, value: string): boolean {
  return value !== '' && new RegExp(`(?<![\\p{L}\\p{N}])${RegExp.escape(value)}(?![\\p{L}\\p{N}])`, 'iu').test(words)
}

function typeOf(schema: Schema): unknown {
  if (schema.type !== undefined) return Array.isArray(schema.type) ? schema.type[0] : schema.type
  return schema.properties ? 'object' : 'string'
}

function asSchema(value: unknown): Schema {
  return typeof value === 'object' && value !== null ? (value as Schema) : {}
}
