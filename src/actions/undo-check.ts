import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { Fault } from '#config/fault.ts'
import { checkParameters, readArguments } from './arguments.ts'
import { bodyNames } from './templates/body-template.ts'

/**
 * What is wrong with how an action is undone, as far as that shows before there is a result. That the other action exists is
 * checked with all references.
 */
export function checkUndo(
  { actions = {} }: ConfigDocument,
  name: string,
  { undo, access, parameters }: ActionSpec,
): Fault[] {
  if (!undo) return []
  const path = ['actions', name, 'undo']
  if (access === 'read') return [{ path, message: 'is of an action that only reads: there is nothing to undo' }]
  if (undo.action === name) return [{ path: [...path, 'action'], message: 'must be another action' }]
  const other = Object.hasOwn(actions, undo.action) ? actions[undo.action] : undefined
  if (!other) return []
  const placeholders = bodyNames(undo.arguments)
  const faults = [
    ...checkNames(undo, other.parameters),
    ...placeholders.flatMap(({ name: named, path: place }) => {
      const message = placeholderFault(named, parameters)
      return message === undefined ? [] : [{ path: ['arguments', ...place], message }]
    }),
  ]
  if (faults.length + placeholders.length === 0 && checkParameters(other.parameters).length === 0) {
    const read = readArguments(other.parameters, JSON.stringify(undo.arguments))
    if ('refusal' in read) faults.push({ path: ['arguments'], message: `${undo.action}: ${read.refusal}` })
  }
  return faults.map((fault) => ({ ...fault, path: [...path, ...fault.path] }))
}

/** Arguments that the other action does not take, and those that it needs and is not given. */
function checkNames(
  { action, arguments: given }: NonNullable<ActionSpec['undo']>,
  parameters: ActionSpec['parameters'],
) {
  const { additionalProperties, patternProperties, required } = parameters
  const names = Object.keys(propertiesOf(parameters))
  const isClosed = additionalProperties === false && patternProperties === undefined
  const offered = names.length === 0 ? 'it takes none' : `it takes: ${names.join(', ')}`
  const unknown = Object.keys(given)
    .filter((name) => isClosed && !names.includes(name))
    .map((name): Fault => ({ path: ['arguments', name], message: `is no argument of ${action}; ${offered}` }))
  const missing = (Array.isArray(required) ? required : [])
    .filter((name) => typeof name === 'string' && !Object.hasOwn(given, name))
    .map((name): Fault => ({ path: ['arguments'], message: `has no ${JSON.stringify(name)}: ${action} needs it` }))
  return [...unknown, ...missing]
}

function placeholderFault(name: string, parameters: ActionSpec['parameters']): string | undefined {
  const [source = '', argument] = name.split('.')
  if (source === 'result') return undefined
  if (source !== 'arguments') return `the placeholder {${name}} has to begin with "result." or "arguments."`
  if (argument === undefined || Object.hasOwn(propertiesOf(parameters), argument)) return undefined
  return `the placeholder {${name}} names no argument of this action`
}

function propertiesOf({ properties }: ActionSpec['parameters']): object {
  return typeof properties === 'object' && properties !== null ? properties : {}
}
