import type { ConfigVersion } from '#config/document.ts'
import type { Serving } from '#config/serving.ts'
import type { Seal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import type { Events } from '#events/events.ts'
import type { Admission } from '#governance/admission.ts'
import type { Audit } from '#governance/audit.ts'
import type { Stops } from '#governance/stops.ts'
import { type Owner, type Principal, partitionOf } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import { type Clock, delay } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Queue } from '#platform/queue/queue.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { noSpans, type Spans } from '#telemetry/spans.ts'
import type { Actions, ActionView, OnLimits, RunPage, RunView } from './actions.ts'
import { isAway } from './backlog.ts'
import type { PinnedConfigs } from './config-of.ts'
import { Decisions } from './decisions.ts'
import { Dispatcher } from './dispatcher.ts'
import type { Executors } from './executors/executor.ts'
import { lookAfterGivenUp } from './given-up.ts'
import { followUpDone, takeFollowUps } from './late-results.ts'
import { LateWishes } from './late-wishes.ts'
import { type FunctionTool, isSettled } from './port.ts'
import { previewOf } from './preview.ts'
import { actionsOf, refusalOf, rulesOf } from './rules.ts'
import { RunNews } from './run-news.ts'
import { maySee, type OfUnreadable, viewRuns } from './run-views.ts'
import { listRuns } from './runs/reads.ts'
import type { RunRow } from './runs/run-row.ts'
import { RunSeals } from './runs/run-seals.ts'
import { RunWork } from './runs/work.ts'
import { Sending } from './sending.ts'
import { RunSweeper } from './sweeper.ts'
import { undoRun } from './undo.ts'
import { wakeAwaiting } from './user-back.ts'
import { Waiting } from './waiting.ts'
import { Withdrawals } from './withdrawals.ts'
import { Worker } from './worker.ts'

export interface ActionsOptions {
  sql: Sql
  queue: Queue
  kv: Kv
  clock: Clock
  log: Log
  executors: Executors
  configs: PinnedConfigs
  serving: Serving
  events: Pick<Events, 'emit'>
  sealOf(owner: Owner): Promise<Seal>
  /** A fresh token of a principal for a scope; rejects with `IdentityNeeded`. */
  userToken(principal: Principal, scope: string): Promise<string>
  /** Names this process among workers. */
  replica: string
  /** Whether this replica executes runs. */
  works: boolean
  /** There may be runs to look after already; else the database is left alone until the first one. */
  awake: boolean
  /** No other process works on these runs: what is running at the start is nobody's. */
  alone: boolean
  /** Runs executed at once. */
  concurrency: number
  /** A worker that is silent for so long is taken for dead. */
  leaseMs: number
  sweepEveryMs: number
  maxWaiting: number
  /** None when absent. */
  spans?: Spans
  /** What operators have stopped; nothing when absent. */
  stops?: Pick<Stops, 'found'>
  /** The gate before what is asked for without a chat; none when absent. */
  admission?: Pick<Admission, 'admit'>
  /** Whether it may still be acted for somebody: a key may have ended since it asked. Always when absent. */
  isLive?(principal: Principal): Promise<boolean>
  /** Where it is noted who decided what on runs; nowhere when absent. */
  audit?: Pick<Audit, 'within' | 'note'>
}

const LISTEN_RETRY_MS = 1000
/** Between two looks at a run that is followed, if no news comes. */
const FOLLOW_POLL_MS = 2000

/** Builds the actions and starts what they do by themselves: the worker and the sweeper. `drain` ends both. */
export function createActions(options: ActionsOptions): Actions {
  const { sql, queue, kv, clock, log, executors, configs, serving, events, sealOf, replica, audit, stops } = options
  const seals = new RunSeals(sealOf)
  const news = new RunNews(kv, events)
  const sending = new Sending({ queue, sql, clock, log, maxWaiting: options.maxWaiting })
  const waiting = new Waiting({ sql, seals, news, clock })
  const shared = { sql, seals, sending, news, configs, stops, clock, log }
  const { userToken, isLive } = options
  const onPending = (row: RunRow) => void previewOf({ ...shared, userToken, isLive }, executors, row)
  const decisions = new Decisions({ ...shared, onPending, ...(audit && { audit }) })
  const dispatcher = new Dispatcher({ ...shared, serving, onPending })
  const wishes = new LateWishes(sql, kv)
  const withdrawals = new Withdrawals({ ...shared, kv })
  const sweeper = new RunSweeper({
    ...shared,
    wishes,
    withdrawals,
    everyMs: options.sweepEveryMs,
    leaseMs: options.leaseMs,
  })
  const worker = new Worker({ spans: noSpans, ...shared, ...options, work: new RunWork(sql, replica) })
  const stopped = new AbortController()
  let awake = false
  void listen()
  if (options.works) worker.start()
  const stopLooking = options.works ? lookAfterGivenUp({ queue, clock, log }) : undefined
  if (options.awake) wake()

  function wake(): void {
    if (awake) return
    awake = true
    sweeper.start(options.awake && options.alone)
  }

  async function listen(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        return await news.listen()
      } catch {
        await delay(clock, LISTEN_RETRY_MS, stopped.signal).catch(() => {})
      }
    }
  }

  /** As a turn is: whoever is over a limit hears so before anything is looked at. */
  async function admit(principal: Principal, onLimits: OnLimits | undefined): Promise<void> {
    const { limits } = (await options.admission?.admit(principal, { kind: 'run', bytes: 0 })) ?? {}
    if (limits) onLimits?.(limits)
  }

  /** What was decided is told of, also where nobody can read what was asked. */
  async function view(principal: Principal, row: RunRow, ofUnreadable: OfUnreadable = 'course'): Promise<RunView> {
    const [shown] = await viewRuns(sql, seals, principal.tenant, [row], ofUnreadable)
    if (!shown) throw new ParleyError('run_not_found')
    return shown
  }

  return {
    tools,

    async dispatch(call) {
      wake()
      try {
        return await dispatcher.dispatch(call)
      } catch (error) {
        // Its row may be there all the same, with nobody who waits for it.
        if (isAway(error)) await wishes.wantOfTurn(call.principal, call.turn).catch(() => {})
        throw error
      }
    },

    async settled(run, patience, signal, onChange) {
      const seen = await waiting.settled(run, patience, signal, onChange).catch(async (error: unknown) => {
        // The turn ends without it; what has started goes on, and is reported.
        if (signal.aborted) await wishes.wantAfterAll(run.id).catch(() => {})
        throw error
      })
      if (isSettled(seen) || (await wishes.want(run.id))) return seen
      return waiting.look(run.id).catch(async (error: unknown) => {
        if (!isAway(error)) throw error
        await wishes.note(run.id)
        return seen
      })
    },

    async withdraw(turn) {
      // No run was ever asked for.
      if (!awake) return
      await withdrawals.withdraw(turn)
    },

    async reportLater(owner, turn) {
      if (awake) await wishes.wantOfTurn(owner, turn)
    },

    takeFollowUps: async (limit, forMs) => (awake ? takeFollowUps(sql, seals, clock.now(), limit, forMs) : []),
    followUpDone: (id) => followUpDone(sql, id),
    onFollowUp: (listener) => news.onFollowUp(listener),

    catalogue,

    async start(principal, request, onLimits) {
      await admit(principal, onLimits)
      wake()
      return view(principal, await dispatcher.start(principal, request))
    },
    get: async (principal, run) => view(principal, await decisions.read(principal, run), 'error'),

    async list(principal, page) {
      const rows = await listRuns(sql, filterOf(principal, page))
      const visible = rows.filter((row) => maySee(principal, row))
      const next = rows.length === page.limit ? (rows.at(-1)?.id ?? null) : null
      return { items: await viewRuns(sql, seals, principal.tenant, visible, 'course'), next }
    },

    async *follow(principal, run, signal) {
      let version = 0
      let changed = Promise.withResolvers<void>()
      const look = () => changed.resolve()
      const stops = [news.onChange(run, look), () => signal.removeEventListener('abort', look)]
      signal.addEventListener('abort', look)
      try {
        for (let row = await decisions.read(principal, run); ; row = await decisions.read(principal, run)) {
          if (row.version !== version) yield await view(principal, row, 'error')
          version = row.version
          if (isSettled(row)) return
          const stopTimer = clock.after(FOLLOW_POLL_MS, look)
          await changed.promise
          stopTimer()
          if (signal.aborted) return
          changed = Promise.withResolvers<void>()
        }
      } finally {
        for (const stop of stops) stop()
      }
    },

    approve: async (principal, run, decision) => view(principal, await decisions.approve(principal, run, decision)),
    reject: async (principal, run, reason) => view(principal, await decisions.reject(principal, run, reason)),
    cancel: async (principal, run) => view(principal, await decisions.cancel(principal, run)),

    async replay(principal, run, onLimits) {
      await admit(principal, onLimits)
      return view(principal, await decisions.replay(principal, run))
    },

    async replayAll(principal, filter, onLimits) {
      await admit(principal, onLimits)
      return decisions.replayAll(principal, filter)
    },

    discard: async (principal, run, reason) => view(principal, await decisions.discard(principal, run, reason)),
    settle: async (principal, run, outcome) => view(principal, await decisions.settle(principal, run, outcome)),

    async undo(principal, run, traceparent, onLimits) {
      await admit(principal, onLimits)
      const row = await undoRun({ sql, seals, configs, decisions, dispatcher }, principal, run, traceparent)
      const details = { how: 'undone', by: row.id, action: row.action }
      const noted = { tenant: row.tenant, kind: 'run.repaired', actor: partitionOf(principal) } as const
      audit?.note({ ...noted, subject: run, details, id: `undo ${row.id}` })
      return view(principal, row)
    },

    userIsBack: async (user) => (awake ? wakeAwaiting(shared, user) : 0),

    async drain(graceMs) {
      stopped.abort(new Error('The actions are drained.'))
      await Promise.all([worker.drain(graceMs), sweeper.stop(), stopLooking?.()])
      news.close()
    },
  }
}

function tools(config: ConfigVersion, specialist: string): FunctionTool[] {
  return actionsOf(config, specialist).map(([name, { description, parameters }]) => {
    return { type: 'function', function: { name, description, parameters } }
  })
}

function catalogue(principal: Principal, config: ConfigVersion): ActionView[] {
  return Object.entries(config.document.actions ?? {})
    .filter(([name, spec]) => refusalOf(config, name, spec, principal) === undefined)
    .map(([name, spec]) => {
      const { access, once, ordered } = rulesOf(spec)
      const { description, parameters, approval, undo } = spec
      return {
        name,
        description,
        parameters,
        access,
        effect: once ? 'at-most-once' : 'idempotent',
        order: ordered ? 'conversation' : 'none',
        approval: approval !== undefined,
        undo: undo !== undefined,
      }
    })
}

function filterOf({ tenant, id, roles }: Principal, { whose, limit, cursor, status, action }: RunPage) {
  if (whose === 'tenant' && !roles.includes('Admin')) throw new ParleyError('forbidden')
  return {
    tenant,
    limit,
    ...(whose === 'mine' && { owner: id }),
    ...(whose === 'to-approve' && { approver: { id, roles } }),
    ...(cursor !== undefined && { before: cursor }),
    ...(status !== undefined && { status }),
    ...(action !== undefined && { action }),
  }
}
