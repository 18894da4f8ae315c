import { isSettled, type Run } from '#actions/port.ts'
import { turnLimits } from './limits.ts'
import type { CallProgress } from './progress.ts'
import { callerTools } from './step.ts'
import type { TurnContext } from './turn-context.ts'

/**
 * Sees to the calls of the current step, all at once. Nothing is dispatched before the log has them, so that a successor
 * asks for the same runs, by the same keys, and never for others. The caller's own calls are left to the caller.
 */
export async function settleCalls(turn: TurnContext): Promise<void> {
  const { progress, log, signal } = turn
  const { calls } = progress.current
  await log.flushed()
  signal.throwIfAborted()
  const beyond = progress.calls - turnLimits.calls
  const refused = new Set(beyond > 0 ? calls.slice(-beyond) : [])
  const open = ownCalls(turn).filter((call) => !isSettled(call))
  await Promise.all(open.map((call) => (refused.has(call) ? refuse(turn, call) : settle(turn, call))))
  await log.flushed()
}

/** Calls of the specialist's actions (and of what nobody knows: the dispatcher says so). */
export function ownCalls(turn: TurnContext): readonly CallProgress[] {
  const callers = new Set(callerTools(turn).map((tool) => tool.function.name))
  return turn.progress.current.calls.filter((call) => !callers.has(call.action))
}

async function settle(turn: TurnContext, call: CallProgress): Promise<void> {
  const { room, input, config, progress, signal } = turn
  const { step } = progress.current
  const run = await room.actions.dispatch({
    key: `${input.turn}/${step}/${call.index}`,
    turn: input.turn,
    conversation: input.conversation ?? undefined,
    principal: input.principal,
    config,
    specialist: input.specialist,
    action: call.action,
    arguments: call.arguments,
    readOnly: input.readOnly,
    untrusted: false,
  })
  const show = (changed: Run) => {
    if (signal.aborted || (changed.status === call.status && changed.output === call.output)) return
    const { id, action, status } = changed
    const output = changed.output === undefined ? undefined : withinLimit(changed.output)
    turn.emit('run', { id, action, status, step, index: call.index, ...(output !== undefined && { output }) })
  }
  show(run)
  if (!isSettled(run)) show(await room.actions.settled(run, turnLimits.actionWaitMs, signal, show))
}

function refuse(turn: TurnContext, call: CallProgress): void {
  turn.emit('run', {
    id: `${turn.input.turn}/${turn.progress.current.step}/${call.index}`,
    action: call.action,
    status: 'rejected',
    step: turn.progress.current.step,
    index: call.index,
    output: `This turn has made its ${turnLimits.calls} calls; no more are made in it.`,
  })
}

function withinLimit(output: string): string {
  const { outputChars } = turnLimits
  return output.length <= outputChars
    ? output
    : `${output.slice(0, outputChars)}\n[cut off here: the result has ${output.length} characters]`
}
