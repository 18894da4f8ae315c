import { hashOfJson } from '../../canonical-json.ts'
import { type Body, bodyOf } from './body.ts'
import { JsonSchemas } from './json-schema.ts'
import { type Parameter, parametersIn } from './parameters.ts'
import { isObject, type Json, listOf, resolved, textOf, Unusable } from './references.ts'
import { baseOf } from './servers.ts'

const METHODS = ['get', 'put', 'post', 'delete', 'patch']
const SHOWN_NAMES = 20

/** An operation as an action can be made of it. */
export interface Operation {
  id: string
  /** In capitals. */
  method: string
  /** Address of the API, without a slash at its end. */
  base: string
  /** With `{name}` for parameters. */
  path: string
  summary: string | undefined
  description: string | undefined
  parameters: readonly Parameter[]
  body: Body | undefined
  /** JSON Schema of all arguments. */
  schema: Json
}

export interface OperationSource {
  document?: unknown
  /** Where the document was found; what its servers may be relative to. */
  url?: string | undefined
  /** Instead of the servers that it names. */
  server?: string | undefined
}

/** Finds an operation by its `operationId` in an OpenAPI document 3.0 or 3.1. Throws `Unusable`. */
export function operationOf({ document, url, server }: OperationSource, id: string): Operation {
  if (!isObject(document) || !/^3\.[01](\.|$)/.test(String(document.openapi))) {
    throw new Unusable('is not of an OpenAPI document 3.0 or 3.1')
  }
  const { path, method, item, operation } = find(document, id)
  const schemas = new JsonSchemas(document)
  const parameters = parametersIn(
    document,
    path,
    [...listOf(item.parameters), ...listOf(operation.parameters)],
    schemas,
  )
  const body = bodyOf(document, operation.requestBody, new Set(parameters.map(({ name }) => name)), schemas)
  return {
    id,
    method: method.toUpperCase(),
    base: baseOf([operation.servers, item.servers, document.servers], { url, server }),
    path,
    summary: textOf(operation.summary),
    description: textOf(operation.description),
    parameters,
    body,
    schema: schemaOf(parameters, body, schemas),
  }
}

/** JSON Schema (2020-12) of the arguments that an action for this operation may have. */
export function parametersOf({ schema }: Operation): Json {
  return schema
}

/** What `openapi.pin` names: SHA-256, hexadecimal, of the canonical JSON of where an operation is and what it takes. */
export function operationHash({
  id,
  method,
  base,
  path,
  summary,
  description,
  parameters,
  body,
  schema,
}: Operation): string {
  const places = parameters.map(({ name, place, style, explode, json }) => ({ name, place, style, explode, json }))
  const sent = body && { mediaType: body.mediaType, whole: body.whole, required: body.required }
  return hashOfJson({ id, method, base, path, summary, description, parameters: places, body: sent ?? null, schema })
}

function find(document: Json, id: string) {
  const ids: string[] = []
  for (const [path, value] of Object.entries(isObject(document.paths) ? document.paths : {})) {
    const item = resolved(document, value) ?? {}
    for (const method of METHODS) {
      const operation = resolved(document, item[method])
      if (!operation) continue
      if (operation.operationId === id) return { path: usable(path), method, item, operation }
      if (typeof operation.operationId === 'string') ids.push(operation.operationId)
    }
  }
  const shown = ids.slice(0, SHOWN_NAMES).join(', ') + (ids.length > SHOWN_NAMES ? ', …' : '')
  const offered = ids.length === 0 ? 'there are none with an operationId' : `operations are: ${shown}`
  throw new Unusable(`no operation ${JSON.stringify(id)}; ${offered}`)
}

function usable(path: string): string {
  if (path.startsWith('/') && !/[?#\\%]/.test(path)) return path
  throw new Unusable(`has a path that cannot be called: ${path}`)
}

function schemaOf(parameters: readonly Parameter[], body: Body | undefined, schemas: JsonSchemas): Json {
  const properties: (readonly [string, unknown])[] = parameters.map(({ name, schema }) => [name, schema])
  const required = parameters.filter((parameter) => parameter.required).map(({ name }) => name)
  if (body) {
    properties.push(...body.properties)
    if (body.required) required.push(...body.requiredProperties)
  }
  const { definitions } = schemas
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
    ...(definitions === undefined ? {} : { $defs: definitions }),
  }
}
