import type { JsonSchemas } from './json-schema.ts'
import { isObject, type Json, resolved, textOf, Unusable } from './references.ts'

/** An argument that goes into the address or the headers. */
export interface Parameter {
  name: string
  place: 'path' | 'query' | 'header'
  required: boolean
  style: string
  explode: boolean
  /** The value is written as JSON text. */
  json: boolean
  schema: unknown
}

/** OpenAPI itself says that the first three are not described like this; the rest is the executor's and the connection's. */
const NOT_ARGUMENTS = new Set([
  'accept',
  'content-type',
  'authorization',
  'cookie',
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'idempotency-key',
  'traceparent',
  'tracestate',
  'user-agent',
])
const STYLES: Readonly<Record<Parameter['place'], readonly string[]>> = {
  path: ['simple'],
  header: ['simple'],
  query: ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
}

/** The parameters of an operation; those of the operation, later in the list, win over those of its path. Throws `Unusable`. */
export function parametersIn(
  document: Json,
  path: string,
  list: readonly unknown[],
  schemas: JsonSchemas,
): readonly Parameter[] {
  const found = new Map<string, Parameter>()
  for (const value of list) {
    const parameter = parameterOf(document, resolved(document, value) ?? {}, schemas)
    if (parameter) found.set(`${parameter.place} ${parameter.name}`, parameter)
  }
  const parameters = [...found.values()]
  const names = parameters.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Unusable(`has two parameters with the name ${JSON.stringify(twice)}`)
  for (const [, name] of path.matchAll(/\{([^{}]*)\}/g)) {
    if (parameters.some((parameter) => parameter.place === 'path' && parameter.name === name)) continue
    throw new Unusable(`has {${name}} in its path and no such parameter`)
  }
  return parameters
}

function parameterOf(document: Json, raw: Json, schemas: JsonSchemas): Parameter | undefined {
  const name = textOf(raw.name)
  const place = textOf(raw.in)
  if (name === undefined) throw new Unusable('has a parameter without a name')
  const required = raw.required === true || place === 'path'
  if (place === 'header' && NOT_ARGUMENTS.has(name.toLowerCase())) return undefined
  if (place !== 'path' && place !== 'query' && place !== 'header') {
    if (!required) return undefined
    throw new Unusable(`needs the parameter ${JSON.stringify(name)} in a place that is not supported: ${place}`)
  }
  const style = textOf(raw.style) ?? (place === 'query' ? 'form' : 'simple')
  if (!STYLES[place].includes(style))
    throw new Unusable(`has a parameter of the style ${style}, which is not supported`)
  const explode = typeof raw.explode === 'boolean' ? raw.explode : style === 'form' || style === 'deepObject'
  const { json, schema } = contentOf(document, raw, name)
  const converted = schemas.convert(schema)
  const description = textOf(raw.description)
  const described = description !== undefined && isObject(converted) ? { description, ...converted } : converted
  return { name, place, required, style, explode, json, schema: described }
}

function contentOf(document: Json, { content, schema }: Json, name: string): { json: boolean; schema: unknown } {
  if (!isObject(content)) return { json: false, schema: schema ?? {} }
  const media = resolved(document, content['application/json'])
  if (!media) throw new Unusable(`has the parameter ${JSON.stringify(name)}, which is not JSON`)
  return { json: true, schema: media.schema ?? {} }
}
