import type { ActionSpec } from '#config/action-spec.ts'
import { readArguments } from './arguments.ts'
import type { ActionCall } from './port.ts'
import { type Reason, reasons } from './reasons.ts'
import { actionsOf, refusalOf, rulesOf } from './rules.ts'

export type Verdict = { spec: ActionSpec; args: Readonly<Record<string, unknown>> } | { reason: Reason; output: string }

/** What of a call decides whether it is done. */
export type Judged = Pick<ActionCall, 'config' | 'specialist' | 'action' | 'arguments' | 'readOnly' | 'principal'>

/** What to do, or why not, in words that the model can act on. */
export function verdictOf(call: Judged): Verdict {
  const offered = actionsOf(call.config, call.specialist)
  const spec = offered.find(([name]) => name === call.action)?.[1]
  if (!spec) {
    const names = offered.map(([name]) => name).join(', ')
    const others = names === '' ? 'None can be called here.' : `There are: ${names}.`
    return { reason: 'unknown_action', output: `${reasons.unknown_action} ${others}` }
  }
  if (call.readOnly && rulesOf(spec).access !== 'read') return { reason: 'read_only', output: reasons.read_only }
  const refusal = refusalOf(call.config, call.action, spec, call.principal)
  if (refusal) return { reason: refusal, output: reasons[refusal] }
  const read = readArguments(spec.parameters, call.arguments)
  if ('refusal' in read) {
    return { reason: 'arguments_invalid', output: `${read.refusal} Correct them and call the action again.` }
  }
  return { spec, args: read.value }
}
