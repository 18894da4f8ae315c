import type { Run } from '#actions/port.ts'
import { isSettled } from '#actions/port.ts'
import type { CallProgress, StepProgress } from './progress.ts'

const UNDER_WAY = 'The action is under way. Its result will be reported later; do not call it again.'
const NEEDS_IDENTITY =
  'The action has not been done yet: it waits until the user signs in again. Say so. Its result will be reported later; do not call it again.'

/** What the model is told of a call: what came of it, or what it waits for when the turn goes on without. */
export function toldOf({ status, output, approval }: Pick<CallProgress, 'status' | 'output' | 'approval'>): string {
  if (output !== undefined) return output
  if (status === 'awaiting-approval') return needsApproval(approval)
  return status === 'awaiting-identity' ? NEEDS_IDENTITY : UNDER_WAY
}

function needsApproval(approval: Run['approval']): string {
  const who = approval && approval.roles.length > 0 ? ` by somebody with the role ${approval.roles.join(' or ')}` : ''
  const until = approval ? `, until ${new Date(approval.expiresAt).toISOString()}` : ''
  return `The action has not been done yet: it waits for approval${who}${until}. Say so. What comes of it will be reported later; do not call it again.`
}

/** Whether an earlier step asked for just this and has no answer yet: the model was told not to ask again. */
export function isPending(steps: readonly StepProgress[], call: Pick<CallProgress, 'action' | 'arguments'>): boolean {
  return steps.some(({ calls }) =>
    calls.some((one) => one.action === call.action && one.arguments === call.arguments && !isSettled(one)),
  )
}
