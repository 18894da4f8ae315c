import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { Fault } from '#config/fault.ts'
import { checkParameters } from './arguments.ts'
import { checkExecutors, type PermittedActions } from './executors/check.ts'
import { checkUndo } from './undo-check.ts'

/** What is wrong with the actions of a config version. Pure, so that it can run in any thread. */
export function checkActions(document: ConfigDocument, permitted: PermittedActions): Fault[] {
  const faults = Object.entries(document.actions ?? {}).flatMap(([name, spec]) => [
    ...checkRules(name, spec),
    ...checkUndo(document, name, spec),
  ])
  return [...faults, ...checkExecutors(document, permitted)]
}

function checkRules(name: string, { parameters, approval }: ActionSpec): Fault[] {
  return [
    ...checkParameters(parameters).map(({ path, message }) => ({
      path: ['actions', name, 'parameters', ...path],
      message,
    })),
    ...(approval?.editable ?? []).flatMap((argument, at) =>
      hasProperty(parameters, argument)
        ? []
        : [{ path: ['actions', name, 'approval', 'editable', at], message: `no argument "${argument}"` }],
    ),
    ...Object.keys(approval?.when ?? {}).flatMap((path) =>
      hasProperty(parameters, path.split('.')[0] ?? '')
        ? []
        : [{ path: ['actions', name, 'approval', 'when', path], message: 'names no argument' }],
    ),
  ]
}

function hasProperty({ properties }: Readonly<Record<string, unknown>>, name: string): boolean {
  return typeof properties === 'object' && properties !== null && Object.hasOwn(properties, name)
}
