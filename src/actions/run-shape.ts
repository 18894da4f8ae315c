import type { Run } from './port.ts'
import { sentenceOf } from './reasons.ts'
import type { RunApproval, RunRow } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'

/** A run as a turn knows it. */
export async function runOf(row: RunRow, seals: RunSeals): Promise<Run> {
  return runWith(row, row.settledAt === null ? undefined : await seals.outcome(row))
}

/** The same, its outcome known. */
export function runWith(row: RunRow, outcome: string | undefined): Run {
  const { id, key, action, status, settledAt, reason, approval, argumentsHash } = row
  const output = settledAt === null ? undefined : (outcome ?? sentenceOf(reason))
  const pending =
    status === 'awaiting-approval' && approval
      ? { approval: { hash: argumentsHash, roles: rolesOf(approval), expiresAt: approval.expiresAt } }
      : {}
  return { id, key, action, status, output, ...pending }
}

/** Who may decide, as the user of the turn is told: against strangers' words they may themselves. */
function rolesOf({ because, roles }: RunApproval): readonly string[] {
  return because === 'untrusted' ? ['Chat.User', ...roles] : roles
}
