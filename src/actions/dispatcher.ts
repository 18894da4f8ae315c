import { createHash } from 'node:crypto'
import type { ActionSpec } from '#config/action-spec.ts'
import { assignFor } from '#config/assigning.ts'
import type { Serving } from '#config/serving.ts'
import { ParleyError } from '#errors.ts'
import type { Served } from '#events/events.ts'
import { refuseStopped, type Stops } from '#governance/stops.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { StartRequest } from './actions.ts'
import { readArguments } from './arguments.ts'
import { hashOfJson } from './canonical-json.ts'
import type { ActionCall, Run } from './port.ts'
import { actionOf, approvalFor, refusalError, refusalOf, rulesOf } from './rules.ts'
import type { RunNews } from './run-news.ts'
import { runOf } from './run-shape.ts'
import { InTurn } from './runs/in-turn.ts'
import { type NewRun, RunInserts } from './runs/insert.ts'
import { isNeverDone, type RunRow, toldAnewAt, UNSENT_AFTER_MS } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'
import type { Sending } from './sending.ts'
import { type Verdict, verdictOf } from './verdict.ts'

export interface DispatcherOptions {
  sql: Sql
  seals: RunSeals
  sending: Sending
  news: RunNews
  serving: Serving
  /** What is asked for without a chat is refused while it is stopped; nothing is when absent. */
  stops?: Pick<Stops, 'found'> | undefined
  clock: Clock
  log: Log
  /** A run waits for approval: what it would do may be shown. */
  onPending(row: RunRow): void
}

const KEY_LIFETIME_MS = 24 * 60 * 60_000

interface Asked extends Served {
  /** Of the run, unless its key has one already. */
  id: string
  principal: Principal
  key: string
  action: string
  specialist: string | null
  conversation: string | null
  turn: string | null
  /** The run that it undoes. */
  undoes: string | null
  untrusted: boolean
  traceparent: string | undefined
}

/** How a run is undone. */
export interface Undoing {
  action: string
  config: string
  spec: ActionSpec
  arguments: Readonly<Record<string, unknown>>
  traceparent: string | undefined
}

/** Checks what is asked for, writes its row, and only then has a worker woken. What is refused is a run too, that never executes. */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #inserts: RunInserts
  /** The parallel calls of a turn are asked for at once: what keeps an order is written in theirs. */
  readonly #ordered = new InTurn()

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#inserts = new RunInserts(options.sql)
  }

  /** A call of a model. */
  async dispatch(call: ActionCall): Promise<Run> {
    const { key, action } = call
    try {
      this.#options.sending.admit()
    } catch {
      // What was taken on already goes on, and is not to be asked for anew.
      const { tenant, id: owner } = call.principal
      const known = await this.#inserts.find({ tenant, owner, key })
      if (known) return runOf(known, this.#options.seals)
      const output = 'Too many actions are waiting at the moment. Tell the user to try again in a while.'
      return { id: newId('run'), key, action, status: 'rejected', output }
    }
    const row = await this.#take(askedOf(call), verdictOf(call), call.arguments)
    return runOf(row, this.#options.seals)
  }

  /** A request of a program. */
  async start(principal: Principal, request: StartRequest): Promise<RunRow> {
    const key = request.key && `api:${createHash('sha256').update(request.key).digest('base64url')}`
    try {
      return await this.#startAnew(principal, request, key ?? newId('run'))
    } catch (error) {
      // What was taken on already goes on, whatever has become of its action since, and of the room for more.
      const known = key && (await this.#asked(principal, request, key).catch(() => undefined))
      if (!known) throw error
      return known
    }
  }

  async #startAnew(principal: Principal, request: StartRequest, key: string): Promise<RunRow> {
    const { action } = request
    refuseStopped(this.#options.stops, { principal, action })
    const id = newId('run')
    const { config, arm, cohort } = assignFor(
      this.#options.serving,
      id,
      (version) => actionOf(version, action) !== undefined,
    )
    const spec = actionOf(config, action)
    if (!spec) throw new ParleyError('action_not_found')
    const refusal = refusalOf(config, action, spec, principal)
    if (refusal) throw refusalError(refusal)
    const text = JSON.stringify(request.arguments)
    const read = readArguments(spec.parameters, text)
    if ('refusal' in read) throw new ParleyError('arguments_invalid', { message: read.refusal, param: 'arguments' })
    this.#options.sending.admit()
    const asked = {
      id,
      principal,
      key,
      action,
      ...{ config: config.name, arm, cohort, unit: id },
      specialist: null,
      conversation: null,
      turn: null,
      undoes: null,
      untrusted: false,
      traceparent: request.traceparent,
    }
    const row = await this.#take(asked, { spec, args: read.value }, text)
    if (!isSame(row, request)) throw new ParleyError('idempotency_mismatch')
    return row
  }

  /** The run that the same request was given before, as long as its key holds. */
  async #asked({ tenant, id: owner }: Principal, request: StartRequest, key: string): Promise<RunRow | undefined> {
    const row = await this.#inserts.find({ tenant, owner, key })
    const holds = row !== undefined && row.createdAt >= this.#options.clock.now() - KEY_LIFETIME_MS
    return holds && isSame(row, request) ? row : undefined
  }

  /** The compensating action of a run: a run of its own, done for whoever asks, with what they may do. Asked for again it is the same. */
  async undo(principal: Principal, undone: RunRow, by: Undoing): Promise<RunRow> {
    const { specialist } = undone
    refuseStopped(this.#options.stops, { principal, action: by.action, ...(specialist !== null && { specialist }) })
    this.#options.sending.admit()
    const id = newId('run')
    const asked = {
      id,
      principal,
      key: `undo:${undone.id}`,
      action: by.action,
      // Somebody's decision on what was done, and not what the version did.
      ...{ config: by.config, arm: undone.arm, cohort: '', unit: id },
      specialist,
      conversation: undone.conversation,
      turn: null,
      undoes: undone.id,
      // Strangers' words may be among the arguments, and a person has asked: that is the confirmation they need.
      untrusted: false,
      traceparent: by.traceparent,
    }
    return this.#take(asked, { spec: by.spec, args: by.arguments }, '')
  }

  async #take(asked: Asked, verdict: Verdict, text: string): Promise<RunRow> {
    const { seals, clock, sending, news, onPending, log } = this.#options
    const { id, principal, config, arm, cohort, unit } = asked
    const { tenant, id: owner } = principal
    const now = clock.now()
    const refused = 'reason' in verdict
    const args = refused ? { refused: text } : verdict.args
    const rules = refused ? undefined : rulesOf(verdict.spec)
    const approval = refused ? null : approvalFor(verdict.spec, args, principal, asked.untrusted, now)
    const status = refused ? 'rejected' : approval ? 'awaiting-approval' : 'queued'
    const ordered = (rules?.ordered ?? false) && asked.conversation !== null
    const write = async () =>
      this.#insert({
        id,
        tenant,
        owner,
        key: asked.key,
        argumentsHash: hashOfJson(args),
        // A model may say anything; the database takes no NUL, and a log no line break.
        action: asked.action.slice(0, 64).replace(/[^\x20-\x7e]/g, '?'),
        ...{ config, arm, cohort, unit },
        specialist: asked.specialist,
        conversation: asked.conversation,
        turn: asked.turn,
        undoes: asked.undoes,
        status,
        ordered,
        once: rules?.once ?? true,
        maxAttempts: rules?.maxAttempts ?? 0,
        dueAt: refused ? toldAnewAt(asked, now) : (approval?.expiresAt ?? now + UNSENT_AFTER_MS),
        input: await seals.seal(principal, id, 'input', { principal, arguments: args }),
        outcome: refused ? await seals.seal(principal, id, 'outcome', { output: verdict.output }) : null,
        reason: refused ? verdict.reason : approval ? 'awaiting_approval' : null,
        approval,
        traceparent: asked.traceparent ?? null,
        now,
      })
    const row = await (ordered ? this.#ordered.do(`${tenant} ${asked.conversation}`, write) : write())
    if (row.id !== id) return row
    const fields = { run: id, action: row.action, config, arm, turn: asked.turn, status, reason: row.reason }
    log.info(fields, 'A run was asked for')
    news.rested(row)
    if (status === 'awaiting-approval') onPending(row)
    if (status === 'queued' && !row.waiting) await sending.send(row)
    return row
  }

  async #insert(run: NewRun): Promise<RunRow> {
    const row = await this.#inserts.insert(run)
    if (row.id === run.id || !isFree(row, run)) return row
    await this.#options.sql.query(
      'system',
      `UPDATE runs SET key = key || '#' || id WHERE key = $2 AND (id = $1 OR (undoes = $3 AND status IN ('rejected', 'cancelled', 'expired')))`,
      [row.id, row.key, run.undoes],
    )
    return this.#inserts.insert(run)
  }
}

function isSame({ action, askedHash }: RunRow, request: StartRequest): boolean {
  return action === request.action && askedHash === hashOfJson(request.arguments)
}

/** Whether the key may be used anew: a program's after a day, that of an undoing when it was not done and never will be. */
function isFree(row: RunRow, { undoes, turn, now }: NewRun): boolean {
  if (undoes !== null) return isNeverDone(row)
  return turn === null && row.createdAt < now - KEY_LIFETIME_MS
}

function askedOf(call: ActionCall): Asked {
  const { principal, key, action, arm, cohort, unit, specialist, conversation, turn, untrusted, traceparent } = call
  return {
    id: newId('run'),
    principal,
    key,
    action,
    ...{ config: call.config.name, arm, cohort, unit },
    specialist,
    conversation: conversation ?? null,
    turn,
    undoes: null,
    untrusted,
    traceparent,
  }
}
