import type { ActionSpec, OpenApiSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { Fault } from '#config/fault.ts'
import { clearTextFault } from '../in-clear.ts'
import { type Operation, operationHash, operationOf, parametersOf } from './operation.ts'
import { isObject, listOf, Unusable } from './references.ts'

export type Permits = (url: URL) => boolean

export function documentOf({ openapi = {} }: ConfigDocument, name: string): OpenApiSpec | undefined {
  return Object.hasOwn(openapi, name) ? openapi[name] : undefined
}

/**
 * What is wrong with an action's `openapi` part. Of a document that has yet to be fetched only its place is looked at; the
 * rest is, before anything is called. What is wrong with a document's place is told by the first action that uses it.
 */
export function checkOperation(config: ConfigDocument, name: string, spec: ActionSpec, permits: Permits): Fault[] {
  if (!spec.openapi) return []
  const { document: source, operation: id, pin } = spec.openapi
  const path = ['actions', name, 'openapi']
  const found = documentOf(config, source)
  if (!found) {
    const names = Object.keys(config.openapi ?? {})
    const offered = names.length === 0 ? 'there are none under openapi' : `documents are: ${names.join(', ')}`
    return [{ path: [...path, 'document'], message: `no OpenAPI document ${JSON.stringify(source)}; ${offered}` }]
  }
  const users = Object.entries(config.actions ?? {}).filter(([, { openapi }]) => openapi?.document === source)
  const told = users[0] !== undefined && users[0][0] !== name
  const faults = placeFaults(found, permits).map((fault) => ({ ...fault, path: ['openapi', source, ...fault.path] }))
  if (faults.length > 0) return told ? [] : faults
  if (found.document === undefined) return []
  try {
    const operation = operationOf(found, id)
    const misfits = misfitsOf(operation, spec.parameters).map(({ message, path: place }) => {
      return { path: ['actions', name, 'parameters', ...place], message }
    })
    const inClear = clearOf(found, operation)
    return [
      ...permitFaults(operation, path, permits),
      ...(inClear === undefined ? [] : [{ path: ['openapi', source, 'onBehalfOf'], message: inClear }]),
      ...misfits,
      ...pinFaults(operation, path, pin),
    ]
  } catch (error) {
    if (error instanceof Unusable) return [{ path: [...path, 'operation'], message: error.message }]
    throw error
  }
}

/** Where an action's own parameters ask for what the operation does not take, or leave out what it needs. */
export function misfitsOf(operation: Operation, parameters: ActionSpec['parameters']): Fault[] {
  const { properties, required } = parametersOf(operation)
  const known = isObject(properties) ? properties : {}
  const own = isObject(parameters.properties) ? Object.keys(parameters.properties) : []
  const names = Object.keys(known)
  const offered = names.length === 0 ? 'it takes none' : `it takes: ${names.join(', ')}`
  const unknown = own
    .filter((property) => !Object.hasOwn(known, property))
    .map((property) => ({ path: ['properties', property], message: `is no argument of ${operation.id}; ${offered}` }))
  const missing = listOf(required)
    .filter((property) => !listOf(parameters.required).includes(property))
    .map((property) => ({
      path: ['required'],
      message: `has to list ${JSON.stringify(property)}: ${operation.id} needs it`,
    }))
  return [...unknown, ...missing]
}

/** Why the user's token must not go to where the operation is; undefined where none goes, or it may. */
export function clearOf({ onBehalfOf }: OpenApiSpec, { base }: Operation): string | undefined {
  return onBehalfOf === undefined ? undefined : clearTextFault(new URL(base))
}

function placeFaults({ url, document, server }: OpenApiSpec, permits: Permits): Fault[] {
  if ((url === undefined) === (document === undefined)) {
    return [{ path: [], message: 'needs either a url or the document itself' }]
  }
  return [
    ...(url === undefined ? [] : addressFaults(['url'], url, permits)),
    ...(server === undefined ? [] : addressFaults(['server'], server, permits)),
  ]
}

function addressFaults(path: Fault['path'], address: string, permits: Permits): Fault[] {
  const url = URL.parse(address)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return [{ path, message: 'is not an http(s) address' }]
  }
  if (url.username || url.password || url.hash) return [{ path, message: 'must not carry credentials or a fragment' }]
  return permits(url) ? [] : [{ path, message: notPermitted(url) }]
}

function permitFaults({ base }: Operation, path: string[], permits: Permits): Fault[] {
  const url = new URL(base)
  return permits(url) ? [] : [{ path: [...path, 'operation'], message: `is at a server where ${notPermitted(url)}` }]
}

function pinFaults(operation: Operation, path: string[], pin: string | undefined): Fault[] {
  const hash = operationHash(operation)
  if (pin === undefined || pin === hash) return []
  return [{ path: [...path, 'pin'], message: `is not the hash of this operation, which is ${hash}` }]
}

function notPermitted({ host }: URL): string {
  return `the environment does not permit the host ${host} (PARLEY_EGRESS_HOSTS)`
}
