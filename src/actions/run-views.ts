import { isErased, isUnreadable } from '#conversations/erased.ts'
import type { Principal } from '#identity/principal.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { ApprovalView, AttemptView, RunView } from './actions.ts'
import { isSettled } from './port.ts'
import { reasons, sentenceOf } from './reasons.ts'
import { blockerOf, type ListedRun, readAttempts, readUndoings } from './runs/reads.ts'
import type { RunApproval, RunRow } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'

/** Whether one may see a run of the tenant: its owner, who may decide on it, and who operates. */
export function maySee({ tenant, id, roles }: Principal, row: RunRow): boolean {
  if (row.tenant !== tenant) return false
  if (row.owner === id || roles.includes('Admin') || roles.includes('Action.Approver')) return true
  return row.approval?.roles.some((role) => roles.some((held) => held === role)) ?? false
}

/** What becomes of a run that opens with no key that is here: its course alone, so that it hides none of the others; or an error. */
export type OfUnreadable = 'course' | 'error'

/** Runs of one tenant as the API shows them. */
export async function viewRuns(
  sql: Sql,
  seals: RunSeals,
  tenant: string,
  rows: readonly (RunRow & Partial<Pick<ListedRun, 'outcomeLeftOut'>>)[],
  ofUnreadable: OfUnreadable,
): Promise<RunView[]> {
  const ids = rows.map(({ id }) => id)
  const [allAttempts, undoings] = await Promise.all([
    readAttempts(sql, { tenant }, ids),
    readUndoings(sql, { tenant }, ids),
  ])
  const attempts = Map.groupBy(allAttempts, ({ run }) => run)
  return Promise.all(
    rows.map(async (row) => {
      const { principal, args, output, preview, isShut } = await contentOf(row, seals, ofUnreadable)
      const { id, action, status, version, revision, argumentsHash, reason, specialist, conversation, turn, config } =
        row
      const { maxAttempts, createdAt, updatedAt, settledAt, dueAt } = row
      return {
        ...{ id, action, status, version, revision, arguments: args, argumentsHash },
        result: status === 'succeeded' && output !== undefined ? JSON.parse(output) : null,
        resultLeftOut: row.outcomeLeftOut ?? (isShut && status === 'succeeded'),
        reason,
        message: isShut ? reasons.sealed_unreadable : messageOf(row, output),
        owner: { id: principal.id, name: principal.name },
        ...{ specialist, conversation, turn, config },
        approval: row.approval && approvalView(row.approval, preview),
        attempts: (attempts.get(id) ?? []).map(({ run: _, ...attempt }): AttemptView => attempt),
        maxAttempts,
        blockedBy: await blockerOf(sql, row),
        undoes: row.undoes,
        undoneBy: undoings.get(id)?.id ?? null,
        // What is settled is looked after for no reason that concerns anybody.
        ...{ createdAt, updatedAt, settledAt, dueAt: settledAt === null ? dueAt : null },
      }
    }),
  )
}

/** Of a run whose owner was erased nothing is left but its course. */
async function contentOf(row: RunRow, seals: RunSeals, ofUnreadable: OfUnreadable) {
  try {
    const { principal, arguments: args } = await seals.input(row)
    const [output, preview] = [await seals.outcome(row), await seals.preview(row)]
    return { principal, args, output, preview, isShut: false }
  } catch (error) {
    const isShut = ofUnreadable === 'course' && isUnreadable(error)
    if (!isShut && !isErased(error)) throw error
    return { principal: { id: row.owner, name: '' }, args: {}, output: undefined, preview: null, isShut }
  }
}

function messageOf({ status, reason }: RunRow, output: string | undefined): string | null {
  if (status === 'succeeded') return null
  if (isSettled({ status }) && output !== undefined) return output
  return reason === null ? null : sentenceOf(reason)
}

function approvalView(approval: RunApproval, preview: unknown): ApprovalView {
  const { roles, ownAllowed, expiresAt, editable, because, decidedBy, decidedAt, decision } = approval
  return { roles, ownAllowed, expiresAt, editable, because, preview, decidedBy, decidedAt, decision }
}
