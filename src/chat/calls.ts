import { isSettled, type Run } from '#actions/port.ts'
import { fitOutput, jsonBytes } from './cut-output.ts'
import { turnLimits } from './limits.ts'
import { isPending } from './pending.ts'
import type { CallProgress } from './progress.ts'
import { callerTools } from './step.ts'
import { hasStrangersWords } from './taint.ts'
import { type TurnContext, TurnStop } from './turn-context.ts'
import { unitOf } from './turn-input.ts'

const TOO_MANY = `This turn has made its ${turnLimits.calls} calls; no more are made in it.`
const PATIENCE = { mostMs: turnLimits.actionWaitMs, identityMs: turnLimits.identityWaitMs }
const PENDING = 'This very call was made before in this turn and has no result yet; it is not made again.'

/**
 * Sees to the calls of the current step, all at once. Nothing is dispatched before the log has them, so that a successor
 * asks for the same runs, by the same keys, and never for others. The caller's own calls are left to the caller.
 */
export async function settleCalls(turn: TurnContext): Promise<void> {
  const { progress, log } = turn
  const failed = new AbortController()
  const signal = AbortSignal.any([turn.signal, failed.signal])
  const { calls } = progress.current
  await log.flushed()
  signal.throwIfAborted()
  const beyond = progress.calls - turnLimits.calls
  const tooMany = new Set(beyond > 0 ? calls.slice(-beyond) : [])
  const untrusted = hasStrangersWords(turn)
  const open = ownCalls(turn).filter((call) => !isSettled(call))
  const settled = open.map((call) => {
    if (tooMany.has(call)) return refuse(turn, call, TOO_MANY)
    return isPending(progress.steps, call) ? refuse(turn, call, PENDING) : settle(turn, call, untrusted, signal)
  })
  try {
    await Promise.all(settled)
  } catch (error) {
    // Nobody is there to hear of the others any more: they are reported later.
    failed.abort(error)
    // What is being asked for at this moment is to be there when the runs of a cancelled turn are withdrawn.
    if (isCancelled(turn.signal)) await Promise.allSettled(settled)
    throw error
  }
  await log.flushed()
}

function isCancelled({ reason }: AbortSignal): boolean {
  return reason instanceof TurnStop && reason.kind === 'cancelled'
}

/** Calls of the specialist's actions (and of what nobody knows: the dispatcher says so). */
export function ownCalls(turn: TurnContext): readonly CallProgress[] {
  const callers = new Set(callerTools(turn).map((tool) => tool.function.name))
  return turn.progress.current.calls.filter((call) => !callers.has(call.action))
}

/** Within the share that a turn waits, whatever the run waits for: its worker, its approval, its principal. */
async function settle(turn: TurnContext, call: CallProgress, untrusted: boolean, signal: AbortSignal): Promise<void> {
  const { room, input, config, progress } = turn
  const { step } = progress.current
  const run = await room.actions.dispatch({
    key: `${input.turn}/${step}/${call.index}`,
    turn: input.turn,
    conversation: input.conversation ?? undefined,
    principal: input.principal,
    config,
    arm: input.arm,
    cohort: input.cohort,
    unit: unitOf(input),
    specialist: input.specialist,
    action: call.action,
    arguments: call.arguments,
    readOnly: input.readOnly,
    untrusted,
    traceparent: turn.span.traceparent,
  })
  const show = (changed: Run) => {
    const { id, action, status } = changed
    const output = changed.output === undefined ? undefined : kept(turn, call, changed.output)
    const approval = status === 'awaiting-approval' ? changed.approval : undefined
    const isNews = status !== call.status || output !== call.output || approval?.hash !== call.approval?.hash
    if (signal.aborted || !isNews) return
    const more = { ...(output !== undefined && { output }), ...(approval && { approval }) }
    turn.emit('run', { id, action, status, step, index: call.index, ...more })
  }
  show(run)
  if (!isSettled(run)) show(await room.actions.settled(run, PATIENCE, signal, show))
}

/** As much of a result as the turn can keep beside its others. */
function kept({ progress }: TurnContext, call: CallProgress, output: string): string {
  const others = progress.callBytes - jsonBytes(call.output ?? '')
  return fitOutput(output, turnLimits.outputChars, turnLimits.callBytes - others)
}

function refuse(turn: TurnContext, call: CallProgress, why: string): void {
  turn.emit('run', {
    id: `${turn.input.turn}/${turn.progress.current.step}/${call.index}`,
    action: call.action,
    status: 'rejected',
    step: turn.progress.current.step,
    index: call.index,
    output: why,
  })
}
