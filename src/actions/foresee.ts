import type { ActionCall } from './port.ts'
import type { Reason } from './reasons.ts'
import { actionOf, approvalFor } from './rules.ts'
import { type Judged, verdictOf } from './verdict.ts'

/** What would become of a call, without anything that the model made up: what it names, and what is declared. */
export interface Foreseen {
  /** Null where the version has none of that name. */
  action: string | null
  outcome: Reason | 'would-run' | 'needs-approval'
  /** Names of the arguments that were given and that the action declares. */
  arguments: readonly string[]
}

/** Judges a call as the dispatcher does; nothing is done, and nothing kept. */
export function foresee(call: Judged & Pick<ActionCall, 'untrusted'>, now: number): Foreseen {
  const verdict = verdictOf(call)
  const spec = actionOf(call.config, call.action)
  const action = spec ? call.action : null
  const declared = Object.keys(propertiesOf(spec?.parameters))
  if ('reason' in verdict) return { action, outcome: verdict.reason, arguments: given(call.arguments, declared) }
  const approval = approvalFor(verdict.spec, verdict.args, call.principal, call.untrusted, now)
  const named = declared.filter((name) => Object.hasOwn(verdict.args, name))
  return { action, outcome: approval ? 'needs-approval' : 'would-run', arguments: named }
}

function propertiesOf(parameters: unknown): object {
  const properties: unknown = Object(Object(parameters).properties)
  return Object(properties)
}

function given(text: string, declared: readonly string[]): string[] {
  try {
    const value: unknown = JSON.parse(text)
    return declared.filter((name) => Object.hasOwn(Object(value), name))
  } catch {
    return []
  }
}
