import type { Serving } from '#config/serving.ts'
import { ParleyError } from '#errors.ts'
import type { Stops } from '#governance/stops.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import { type Clock, delay } from '#platform/clock.ts'
import { type Delivery, LockLostError, type Queue, type Receiver } from '#platform/queue/queue.ts'
import type { Spans } from '#telemetry/spans.ts'
import { readArguments } from './arguments.ts'
import { type Attempted, type Consequence, consequenceOf } from './attempt-outcome.ts'
import { openAttemptSpan } from './attempt-span.ts'
import { configOf, type PinnedConfigs } from './config-of.ts'
import { type Executors, IdentityNeeded, PassingError } from './executors/executor.ts'
import { actionOf, approvalAnew, refusalOf, rulesOf } from './rules.ts'
import type { RunNews } from './run-news.ts'
import { runWith } from './run-shape.ts'
import { type RunApproval, type RunRow, UNSENT_AFTER_MS } from './runs/run-row.ts'
import type { RunInput, RunSeals } from './runs/run-seals.ts'
import type { RunWork } from './runs/work.ts'
import { type RunMessage, readMessage, type Sending } from './sending.ts'

export interface WorkerOptions {
  queue: Queue
  work: RunWork
  seals: RunSeals
  sending: Sending
  news: RunNews
  executors: Executors
  configs: PinnedConfigs
  serving: Pick<Serving, 'rolledBackSince'>
  /** A fresh token of a principal; rejects with `IdentityNeeded`. */
  userToken(principal: Principal, scope: string): Promise<string>
  clock: Clock
  log: Log
  /** Runs executed at once. */
  concurrency: number
  leaseMs: number
  spans: Spans
  /** Whether it may still be acted for somebody; always when absent. */
  isLive?: ((principal: Principal) => Promise<boolean>) | undefined
  /** While operators have stopped what a run is of, it waits; nothing is when absent. */
  stops?: Pick<Stops, 'found'> | undefined
}

/** Why the attempt under way stops before its executor is done. */
type Stop = 'timeout' | 'lost' | 'draining'

interface Hold {
  /** The effect may have begun. */
  began: boolean
  /** What was out of reach as it was to begin. */
  away: ParleyError['code'] | undefined
}

const PERSIST_RETRY_MS = 250
const ABANDON_AFTER_MS = 1000
/** Broker locks are renewed for longer than any attempt lasts. */
const RENEW_FOR_MS = 15 * 60_000

/**
 * Executes runs. For each message: claim the row (fence) → effect → persist the result and its follow-up → tell who waits →
 * complete the message. The row decides: a message that comes again finds nothing left to do.
 */
export class Worker {
  readonly #options: WorkerOptions
  readonly #attempts = new Set<AbortController>()
  readonly #draining = new AbortController()
  #isOver = false
  #receiver: Receiver | undefined

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  start(): void {
    const { queue, concurrency } = this.#options
    this.#receiver = queue.receive((delivery) => this.#handle(delivery), { concurrency, renewForMs: RENEW_FOR_MS })
  }

  /** Nothing new; what runs gets `graceMs`, then is stopped and goes back. */
  async drain(graceMs: number): Promise<void> {
    this.#draining.abort(new Error('The worker is drained.'))
    const stop = this.#options.clock.after(graceMs, () => {
      this.#isOver = true
      for (const attempt of this.#attempts) attempt.abort('draining' satisfies Stop)
    })
    await this.#receiver?.stop(graceMs + this.#options.leaseMs / 3)
    stop()
  }

  async #handle(delivery: Delivery): Promise<void> {
    const { clock, log } = this.#options
    const message = readMessage(delivery.body)
    try {
      if (!message) return await delivery.deadLetter('bad_message', 'The body names no run and attempt.')
      const row = await this.#claim(message, delivery.signal)
      // Done, somebody else's, or called off: the row knows, and a sweeper looks after it.
      if (row) await this.#attempt(row, delivery.traceparent ?? row.traceparent ?? undefined)
      await delivery.complete()
    } catch (error) {
      // The message comes again by itself when its lock has run out.
      if (error instanceof LockLostError) return
      log.warn({ run: message?.run, err: error }, 'A run could not be worked on')
      // Abandoned messages come back at once: a moment for whatever is away.
      await delay(clock, ABANDON_AFTER_MS, this.#draining.signal).catch(() => {})
      await delivery.abandon().catch(() => {})
    }
  }

  /** With the database away the message is held: given back, its deliveries would be used up, and the broker give it up. */
  async #claim({ run, attempt }: RunMessage, lock: AbortSignal): Promise<RunRow | undefined> {
    const { work, clock, leaseMs } = this.#options
    for (;;) {
      try {
        const now = clock.now()
        return await work.claim(run, attempt, now + leaseMs, now)
      } catch (error) {
        if (!isAway(error) || lock.aborted) throw error
        await delay(clock, PERSIST_RETRY_MS, this.#draining.signal)
      }
    }
  }

  async #attempt(row: RunRow, traceparent: string | undefined): Promise<void> {
    const { clock, log, seals, work, sending, news, spans } = this.#options
    const span = openAttemptSpan(spans, row, traceparent)
    const startedAt = clock.monotonic()
    const abort = new AbortController()
    this.#attempts.add(abort)
    if (this.#isOver) abort.abort('draining' satisfies Stop)
    const stopRenewing = this.#keepLease(row, abort)
    const hold: Hold = { began: false, away: undefined }
    try {
      const attempted = await this.#execute(row, span.traceparent, abort, hold)
      if (abort.signal.reason === 'lost') return
      const { attempt, maxAttempts, once, heldSince, userMissingSince } = row
      const facts = {
        attempt,
        maxAttempts,
        once,
        heldSince,
        userMissingSince,
        began: hold.began,
        now: clock.now(),
        random: Math.random(),
      }
      const consequence =
        abort.signal.reason === 'draining' && !(once && hold.began)
          ? handedBack(facts.now)
          : consequenceOf(attempted, facts)
      const { output, fault, retryAt, ...end } = consequence
      const done = await this.#persist(async () => {
        const outcome = output === undefined ? null : await seals.seal(ownerOf(row), row.id, 'outcome', { output })
        return work.end({ id: row.id, fence: row.fence, ...end, outcome, now: facts.now }, row)
      })
      if (!done) return
      if (retryAt !== undefined) await sending.schedule(done.row, retryAt)
      const fields = {
        run: row.id,
        action: row.action,
        config: row.config,
        arm: row.arm,
        turn: row.turn,
        attempt,
        status: end.status,
        reason: end.reason,
      }
      span.ended(end.status, end.reason ?? null)
      const durationMs = clock.monotonic() - startedAt
      if (fault !== undefined) log.error({ ...fields, durationMs, err: fault }, 'An action is broken')
      else log.info({ ...fields, durationMs }, 'A run was attempted')
      news.changed(done.row, runWith(done.row, output), done.row.followUp && done.row.settledAt !== null)
      if (done.next?.status === 'queued') await sending.send(done.next)
    } finally {
      span.ended('lost', 'worker_lost')
      stopRenewing()
      this.#attempts.delete(abort)
    }

    /** Uncounted, and due at once for whoever comes next. */
    function handedBack(now: number): Consequence {
      const due = { retryAt: now, dueAt: now + UNSENT_AFTER_MS }
      const how = { status: 'retrying', ended: 'passing', reason: 'worker_lost' } as const
      return { ...how, ...due, output: undefined, uncounted: true, fault: undefined }
    }
  }

  /** Never rejects. */
  async #execute(row: RunRow, traceparent: string | undefined, abort: AbortController, hold: Hold): Promise<Attempted> {
    const { clock, configs, executors, isLive, stops, seals, userToken } = this.#options
    const stopped = Promise.withResolvers<never>()
    stopped.promise.catch(() => {})
    abort.signal.addEventListener('abort', () => stopped.reject(abort.signal.reason), { once: true })
    let stopTimer = () => {}
    try {
      const input: RunInput = await seals.input(row)
      const { principal } = input
      const { action, specialist } = row
      if (isLive && !(await isLive(principal))) return { impossible: 'key_ended' }
      if (stops?.found({ principal, action, ...(specialist !== null && { specialist }) })) return { held: 'stopped' }
      const config = await configOf(configs, row)
      const spec = actionOf(config, row.action)
      if (!spec) return { impossible: 'unknown_action' }
      const refusal = refusalOf(config, action, spec, principal)
      if (refusal) return { impossible: refusal }
      if (this.#isOutdated(row)) return { unapproved: approvalAnew(row.approval, spec, clock.now()) }
      const read = readArguments(spec.parameters, JSON.stringify(input.arguments))
      if ('refusal' in read) return { impossible: 'arguments_invalid' }
      stopTimer = clock.after(rulesOf(spec).timeoutMs, () => abort.abort('timeout' satisfies Stop))
      const context = {
        clock,
        signal: abort.signal,
        principal,
        run: row.id,
        key: row.id,
        attempt: row.attempt,
        traceparent,
        begin: async () => {
          // Too late for an attempt that was given up: how it ended is being written down.
          abort.signal.throwIfAborted()
          if (!(await this.#begin(row, hold))) {
            abort.abort('lost' satisfies Stop)
            throw new Error('The run is somebody else’s by now.')
          }
          abort.signal.throwIfAborted()
          hold.began = true
        },
        userToken: (scope: string) => userToken(principal, scope),
      }
      const executor = executors.executorOf(config.document, row.action)
      abort.signal.throwIfAborted()
      const result = await Promise.race([Promise.try(executor, read.value, context), stopped.promise])
      return { result: JSON.stringify(result) ?? 'null' }
    } catch (error) {
      const away = hold.away ?? (isAway(error) ? error.code : undefined)
      if (away !== undefined && !hold.began && !abort.signal.aborted) return { away }
      return { thrown: error, timedOut: abort.signal.reason === 'timeout' && !(error instanceof IdentityNeeded) }
    } finally {
      stopTimer()
    }
  }

  /** Approved, not begun, and its version rolled back since: whoever approved it could not know what was wrong with that. */
  #isOutdated(row: RunRow): row is RunRow & { approval: RunApproval } {
    const decidedAt = row.approval?.decision === 'approved' ? row.approval.decidedAt : null
    return (
      row.attempt === 1 &&
      !row.began &&
      decidedAt !== null &&
      this.#options.serving.rolledBackSince(row.config, decidedAt)
    )
  }

  async #begin({ id, fence }: RunRow, hold: Hold): Promise<boolean> {
    try {
      return await this.#options.work.begin(id, fence)
    } catch (error) {
      if (!isAway(error)) throw error
      hold.away = error.code
      // As executors leave it: whatever they make of other errors, nothing was done.
      throw new PassingError('The action could not begin.', { reason: error.code, untouched: true, cause: error })
    }
  }

  #keepLease(row: RunRow, abort: AbortController): () => void {
    const { work, clock, leaseMs } = this.#options
    let stopTimer = () => {}
    const renew = () => {
      const now = clock.now()
      work.renew({ id: row.id, fence: row.fence, until: now + leaseMs, now }).then(
        (held) => {
          if (!held) abort.abort('lost' satisfies Stop)
        },
        // The database is away: the lease may run out, and then the fence decides.
        () => {},
      )
      stopTimer = clock.after(leaseMs / 3, renew)
    }
    stopTimer = clock.after(leaseMs / 3, renew)
    return () => stopTimer()
  }

  /**
   * As long as what it needs is away, it is tried again: what was done is not to be forgotten, and whether the run is still ours
   * is told by the fence. Only a worker that is drained gives up after a while.
   */
  async #persist<Result>(write: () => Promise<Result>): Promise<Result> {
    const { clock, leaseMs } = this.#options
    const until = clock.monotonic() + leaseMs
    for (;;) {
      try {
        return await write()
      } catch (error) {
        if (!isAway(error) || (this.#isOver && clock.monotonic() > until)) throw error
        await delay(clock, PERSIST_RETRY_MS)
      }
    }
  }
}

const AWAY: ReadonlySet<string> = new Set(['database_unavailable', 'state_unavailable', 'blob_unavailable'])

/** The database, the store that has the keys of what is sealed, or the one that has the versions. */
function isAway(error: unknown): error is ParleyError {
  return error instanceof ParleyError && AWAY.has(error.code)
}

function ownerOf({ tenant, owner }: RunRow): { tenant: string; id: string } {
  return { tenant, id: owner }
}
