import { isErased, isUnreadable } from '#conversations/erased.ts'
import { ParleyError } from '#errors.ts'
import type { Audit, AuditEntry } from '#governance/audit.ts'
import { refuseStopped, type Stops } from '#governance/stops.ts'
import { type Principal, partitionOf } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Sql, Tx } from '#platform/sql/sql.ts'
import type { ReplayedRuns, ReplayFilter } from './actions.ts'
import { readArguments } from './arguments.ts'
import { hashOfJson } from './canonical-json.ts'
import { configOf, type PinnedConfigs } from './config-of.ts'
import { actionOf, approvalFor, rulesOf } from './rules.ts'
import type { RunNews } from './run-news.ts'
import { runOf } from './run-shape.ts'
import { maySee } from './run-views.ts'
import { changeRun, type RunChange } from './runs/changes.ts'
import { listRuns, readRun } from './runs/reads.ts'
import { type RunApproval, type RunRow, UNSENT_AFTER_MS } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'
import type { Sending } from './sending.ts'

export interface DecisionsOptions {
  sql: Sql
  seals: RunSeals
  sending: Sending
  news: RunNews
  configs: PinnedConfigs
  /** What is stopped is not replayed; nothing is when absent. */
  stops?: Pick<Stops, 'found'> | undefined
  clock: Clock
  log: Log
  /** Where it is noted who decided what, with the decision itself; nowhere when absent. */
  audit?: Pick<Audit, 'within'>
  /** A run waits for approval with other arguments: what they would do may be shown. */
  onPending(row: RunRow): void
}

const LISTED_AT_ONCE = 100
/** Of many that are replayed at once: somebody else was quicker, or its owner was erased meanwhile; or it cannot be for now. */
const PASSED_OVER: ReadonlySet<string> = new Set([
  ...['run_state', 'run_not_found', 'erased'],
  ...['action_not_found', 'killed', 'budget_exceeded'],
])

/** What people decide on runs: approve, reject, cancel, replay, discard, settle. Each is one change of a row as it was read. */
export class Decisions {
  readonly #options: DecisionsOptions

  constructor(options: DecisionsOptions) {
    this.#options = options
  }

  /** Rejects with run_not_found: also for what the principal may not see. */
  async read(principal: Principal, id: string): Promise<RunRow> {
    const { sql } = this.#options
    const row = await readRun(sql, { tenant: principal.tenant }, id)
    if (row && maySee(principal, row)) return row
    // What somebody else undoes is still one's own.
    const undone = row?.undoes ? await readRun(sql, { tenant: principal.tenant }, row.undoes) : undefined
    if (!row || undone?.owner !== principal.id) throw new ParleyError('run_not_found')
    return row
  }

  async approve(
    principal: Principal,
    id: string,
    { hash, edited }: { hash: string; edited?: Readonly<Record<string, unknown>> },
  ): Promise<RunRow> {
    const { clock } = this.#options
    const row = await this.#pending(principal, id)
    if (hash !== row.argumentsHash) throw new ParleyError('approval_changed', { param: 'hash' })
    const now = clock.now()
    const approved = decided(row.approval, principal, 'approved', now)
    const go = { status: 'queued', dueAt: now + UNSENT_AFTER_MS, approval: approved, now } as const
    const noted = { kind: 'run.approved', details: { hash, edited: false } } as const
    if (edited === undefined || Object.keys(edited).length === 0) {
      await this.#checkReadable(row)
      return this.#change(principal, row, go, noted)
    }
    const { revision, pending } = await this.#revise(row, edited)
    // Under the rules of what it says now somebody else may have to decide.
    const stillPending = pending !== null && !mayDecide(principal, row.owner, pending)
    const notedEdit = { ...noted, details: { hash: revision.argumentsHash, edited: true, pending: stillPending } }
    if (!stillPending) return this.#change(principal, row, { ...go, input: revision }, notedEdit)
    const approval = { ...pending, expiresAt: row.approval.expiresAt }
    const wait = { status: row.status, reason: row.reason, dueAt: row.dueAt, approval, input: revision, now }
    const waiting = await this.#change(principal, row, wait, notedEdit)
    this.#options.onPending(waiting)
    return waiting
  }

  async reject(principal: Principal, id: string, reason: string): Promise<RunRow> {
    const { clock, seals } = this.#options
    const row = await this.#pending(principal, id)
    const now = clock.now()
    const outcome = await this.#sealed(seals, row, `It was not approved: ${reason}`)
    const approval = decided(row.approval, principal, 'rejected', now)
    const change = { status: 'rejected', reason: 'approval_rejected', approval, outcome, now } as const
    return this.#change(principal, row, change, { kind: 'run.rejected', details: { hash: row.argumentsHash } })
  }

  async cancel(principal: Principal, id: string): Promise<RunRow> {
    const row = await this.read(principal, id)
    if (row.owner !== principal.id && !principal.roles.includes('Admin')) throw new ParleyError('forbidden')
    permit(row, ['queued', 'retrying', 'awaiting-approval', 'awaiting-identity'])
    // What is called off counts as never done, and may be asked for anew.
    if (row.began && !row.once)
      throw new ParleyError('run_state', { message: 'The run has begun, and may have had its effect.' })
    const change = { status: 'cancelled', reason: 'cancelled', now: this.#options.clock.now() } as const
    // One's own one may always call off.
    return this.#change(principal, row, change, row.owner === principal.id ? undefined : repaired('cancelled'))
  }

  /** Under the same key towards its target, so that what did happen after all does not happen again. */
  async replay(principal: Principal, id: string): Promise<RunRow> {
    const row = await this.#operated(principal, id)
    permit(row, ['dead-lettered', 'failed'])
    const { clock, configs, stops } = this.#options
    const { tenant, owner, action, specialist } = row
    refuseStopped(stops, { principal: { tenant, id: owner }, action, ...(specialist !== null && { specialist }) })
    const now = clock.now()
    const spec = actionOf(await configOf(configs, row), row.action)
    if (!spec) throw new ParleyError('action_not_found')
    const moreAttempts = row.attempt + rulesOf(spec).maxAttempts - row.maxAttempts
    const change = { status: 'queued', outcome: null, dueAt: now + UNSENT_AFTER_MS, moreAttempts, now } as const
    return this.#change(principal, row, change, repaired('replayed'))
  }

  /**
   * Those that somebody else replays or discards meanwhile, and those whose action is gone or stopped, are passed over. Where it
   * cannot go on in the middle, that much is told, and whoever asks again goes on with the others.
   */
  async replayAll(principal: Principal, { action, reason, limit }: ReplayFilter): Promise<ReplayedRuns> {
    operate(principal)
    const { sql, stops, log } = this.#options
    refuseStopped(stops, { principal, ...(action !== undefined && { action }) })
    const filter = { tenant: principal.tenant, status: 'dead-lettered', limit: LISTED_AT_ONCE } as const
    const wanted = { ...filter, ...(action && { action }), ...(reason && { reason }) }
    let replayed = 0
    try {
      for (let before = {}; ; ) {
        const rows = await listRuns(sql, { ...wanted, ...before })
        for (const { id } of rows) {
          if (replayed === limit) return { replayed, more: true }
          if (await this.#isReplayed(principal, id)) replayed += 1
        }
        if (rows.length < LISTED_AT_ONCE) return { replayed, more: false }
        before = { before: rows.at(-1)?.id }
      }
    } catch (error) {
      if (replayed === 0) throw error
      log.warn({ replayed, err: error }, 'Not all dead letters that fit could be replayed')
      return { replayed, more: true }
    }
  }

  /** False for one that is passed over. */
  async #isReplayed(principal: Principal, id: string): Promise<boolean> {
    try {
      await this.replay(principal, id)
      return true
    } catch (error) {
      if (!(error instanceof ParleyError && PASSED_OVER.has(error.code))) throw error
      return false
    }
  }

  async discard(principal: Principal, id: string, note: string): Promise<RunRow> {
    const row = await this.#operated(principal, id)
    permit(row, ['dead-lettered'])
    const outcome = await this.#sealed(this.#options.seals, row, `It was discarded: ${note}`)
    const now = this.#options.clock.now()
    const change = { status: 'discarded', reason: 'discarded', outcome, now } as const
    return this.#change(principal, row, change, repaired('discarded'))
  }

  /** Says what became of an `unknown` run. */
  async settle(
    principal: Principal,
    id: string,
    { status, note }: { status: 'succeeded' | 'failed'; note: string },
  ): Promise<RunRow> {
    const row = await this.#operated(principal, id)
    permit(row, ['unknown'])
    const output = status === 'succeeded' ? JSON.stringify({ note }) : note
    const outcome = await this.#sealed(this.#options.seals, row, output)
    const now = this.#options.clock.now()
    const change = { status, reason: 'settled_by_hand', outcome, now }
    return this.#change(principal, row, change, repaired(`settled as ${status}`))
  }

  async #pending(principal: Principal, id: string): Promise<RunRow & { approval: RunApproval }> {
    const row = await this.read(principal, id)
    permit(row, ['awaiting-approval'])
    const { approval } = row
    if (!approval) throw new Error('a run awaits an approval that nobody asked for')
    if (!mayDecide(principal, row.owner, approval)) throw new ParleyError('forbidden')
    if (approval.expiresAt <= this.#options.clock.now()) {
      throw new ParleyError('run_state', { message: 'The time for approving it is over.' })
    }
    return { ...row, approval }
  }

  async #operated(principal: Principal, id: string): Promise<RunRow> {
    const row = await this.read(principal, id)
    operate(principal)
    return row
  }

  /** The edited arguments, through all rules again. */
  async #revise(row: RunRow & { approval: RunApproval }, edited: Readonly<Record<string, unknown>>) {
    const { configs, seals, clock } = this.#options
    const fixed = Object.keys(edited).find((name) => !row.approval.editable.includes(name))
    if (fixed !== undefined) {
      throw new ParleyError('arguments_invalid', {
        message: 'This argument may not be edited.',
        param: `edited.${fixed}`,
      })
    }
    const spec = actionOf(await configOf(configs, row), row.action)
    if (!spec) throw new ParleyError('action_not_found')
    const { principal, arguments: before } = await seals.input(row)
    const read = readArguments(spec.parameters, JSON.stringify({ ...before, ...edited }))
    if ('refusal' in read) throw new ParleyError('arguments_invalid', { message: read.refusal, param: 'edited' })
    const untrusted = row.approval.because === 'untrusted'
    const input = { principal, arguments: read.value }
    const sealed = await seals.seal({ tenant: row.tenant, id: row.owner }, row.id, 'input', input)
    const pending = approvalFor(spec, read.value, principal, untrusted, clock.now())
    return { revision: { sealed, argumentsHash: hashOfJson(read.value) }, pending }
  }

  async #change(by: Principal, row: RunRow, change: RunChange, noted: Noted | undefined): Promise<RunRow> {
    const { sql, sending, news, seals, log, clock, audit } = this.#options
    const note = async (tx: Tx) => {
      if (!noted) return
      const details = {
        ...noted.details,
        action: row.action,
        owner: partitionOf({ tenant: row.tenant, id: row.owner }),
      }
      const entry = { tenant: row.tenant, kind: noted.kind, actor: partitionOf(by), subject: row.id, details }
      await audit?.within(tx, { ...entry, at: clock.now() })
    }
    const done = (await changeRun(sql, row, change, note)) ?? (await this.#changeAgain(row, change, note))
    if (!done) throw new ParleyError('run_state', { message: 'The run has changed meanwhile; read it again.' })
    log.info({ run: row.id, was: row.status, status: done.row.status, by: by.id }, 'A run was decided on')
    for (const each of [done.row, done.next]) {
      if (each?.status === 'queued' && !each.waiting) await sending.send(each)
    }
    news.changed(done.row, await runOf(done.row, seals), done.row.followUp && done.row.settledAt !== null)
    return done.row
  }

  /** Whoever decides or works on a run takes a new fence. With the same, a preview came, or its turn: that changes no decision. */
  async #changeAgain(row: RunRow, change: RunChange, note: (tx: Tx) => Promise<void>) {
    const { sql } = this.#options
    const present = await readRun(sql, { tenant: row.tenant }, row.id)
    if (present?.fence !== row.fence || present.version === row.version) return undefined
    return changeRun(sql, present, change, note)
  }

  /** Nobody approves what nobody can have looked at. Rejects with sealed_unreadable. */
  async #checkReadable(row: RunRow): Promise<void> {
    await this.#options.seals.input(row).catch((error) => {
      if (!isErased(error)) throw error
    })
  }

  /** Without the key that it would be sealed with, the decision itself has to do. */
  async #sealed(seals: RunSeals, row: RunRow, output: string): Promise<Buffer | null> {
    try {
      return await seals.seal({ tenant: row.tenant, id: row.owner }, row.id, 'outcome', { output })
    } catch (error) {
      if (!isUnreadable(error)) throw error
      return null
    }
  }
}

/** What the audit log says of a decision, beside whose and on which run. */
type Noted = Pick<AuditEntry, 'kind' | 'details'>

function repaired(how: string): Noted {
  return { kind: 'run.repaired', details: { how } }
}

export function permit({ status }: RunRow, permitted: readonly RunRow['status'][]): void {
  if (permitted.includes(status)) return
  throw new ParleyError('run_state', {
    message: `The run is ${status}; this takes one that is ${permitted.join(' or ')}.`,
  })
}

/** Throws forbidden. */
export function operate({ roles }: Principal): void {
  if (!roles.some((role) => role === 'Admin' || role === 'Action.Approver')) throw new ParleyError('forbidden')
}

/** Nobody approves what they asked for themselves, unless the rule says so. */
/** A key decides nothing, whatever it asked for itself: a confirmation is worth something because somebody looked. */
function mayDecide({ id, roles, key }: Principal, owner: string, approval: RunApproval): boolean {
  if (key) return false
  if (owner === id && !approval.ownAllowed) return false
  if (owner === id && approval.because === 'untrusted') return true
  return approval.roles.some((role) => roles.some((held) => held === role))
}

function decided(
  approval: RunApproval,
  { id, name }: Principal,
  decision: 'approved' | 'rejected',
  now: number,
): RunApproval {
  return { ...approval, decision, decidedBy: { id, name }, decidedAt: now }
}
