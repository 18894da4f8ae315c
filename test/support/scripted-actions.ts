import type { ActionView, ReplayedRuns, ReplayFilter, RunPage, RunView, StartRequest } from '#actions/actions.ts'
import { isSettled } from '#actions/port.ts'
import type { ConfigVersion } from '#config/document.ts'
import { ParleyError } from '#errors.ts'
import { newId } from '#ids.ts'
import type { ServedActions } from '#transport/native-deps.ts'

/** What a caller asked for, beside the principal. */
type Asked = [method: string, ...given: unknown[]]

/** Actions whose runs become what a test makes of them: for the shapes and the faults of transports, without a queue or a database. */
export class ScriptedActions implements ServedActions {
  /** Every call that changes something or looks for something, in order. */
  readonly asked: Asked[] = []
  /** All further calls are refused with this. */
  refusal: Error | undefined
  /** What `list` gives. */
  listed: { items: RunView[]; next: string | null } = { items: [], next: null }
  readonly #runs = new Map<string, ScriptedRun>()
  readonly #keys = new Map<string, ScriptedRun>()
  readonly #play: (run: ScriptedRun, request: StartRequest) => void

  /** `play` is called with each run that a request starts. */
  constructor(play: (run: ScriptedRun, request: StartRequest) => void = () => {}) {
    this.#play = play
  }

  /** A run that is there already. */
  open(view: Partial<RunView> = {}): ScriptedRun {
    const run = new ScriptedRun(view)
    this.#runs.set(run.id, run)
    return run
  }

  catalogue(_principal: unknown, config: ConfigVersion): ActionView[] {
    return Object.entries(config.document.actions ?? {}).map(([name, { description, parameters }]) => {
      return {
        name,
        description,
        parameters,
        access: 'read',
        effect: 'idempotent',
        order: 'none',
        approval: false,
        undo: false,
      }
    })
  }

  async start(_principal: unknown, request: StartRequest): Promise<RunView> {
    this.#note('start', request)
    const { key, action, arguments: args } = request
    const earlier = key === undefined ? undefined : this.#keys.get(key)
    if (earlier) return earlier.view
    const run = this.open({ action, arguments: args, createdAt: Date.now() })
    if (key !== undefined) this.#keys.set(key, run)
    this.#play(run, request)
    return run.view
  }

  async get(_principal: unknown, id: string): Promise<RunView> {
    this.#note('get', id)
    return this.#find(id).view
  }

  async list(_principal: unknown, page: RunPage) {
    this.#note('list', page)
    return this.listed
  }

  follow(_principal: unknown, id: string, signal: AbortSignal): AsyncIterable<RunView> {
    return this.#find(id).follow(signal)
  }

  async approve(
    _principal: unknown,
    id: string,
    decision: { hash: string; edited?: Readonly<Record<string, unknown>> },
  ) {
    this.#note('approve', id, decision)
    const run = this.#find(id)
    if (decision.hash !== run.view.argumentsHash) throw new ParleyError('approval_changed', { param: 'hash' })
    return run.change({ status: 'queued' }).view
  }

  async reject(_principal: unknown, id: string, reason: string): Promise<RunView> {
    this.#note('reject', id, reason)
    return this.#find(id).settle({ status: 'rejected', reason: 'approval_rejected' }).view
  }

  async cancel(_principal: unknown, id: string): Promise<RunView> {
    this.#note('cancel', id)
    return this.#find(id).settle({ status: 'cancelled' }).view
  }

  async replay(_principal: unknown, id: string): Promise<RunView> {
    this.#note('replay', id)
    return this.#find(id).change({ status: 'queued', settledAt: null }).view
  }

  async replayAll(_principal: unknown, filter: ReplayFilter): Promise<ReplayedRuns> {
    this.#note('replayAll', filter)
    return { replayed: 3, more: false }
  }

  async discard(_principal: unknown, id: string, reason: string): Promise<RunView> {
    this.#note('discard', id, reason)
    return this.#find(id).settle({ status: 'discarded' }).view
  }

  async settle(_principal: unknown, id: string, outcome: { status: 'succeeded' | 'failed'; note: string }) {
    this.#note('settle', id, outcome)
    return this.#find(id).settle({ status: outcome.status }).view
  }

  async undo(_principal: unknown, id: string, traceparent: string | undefined): Promise<RunView> {
    this.#note('undo', id, traceparent)
    const undone = this.#find(id)
    const undoing = this.open({ undoes: id, createdAt: Date.now() })
    undone.change({ undoneBy: undoing.id })
    return undoing.view
  }

  #note(...asked: Asked): void {
    if (this.refusal) throw this.refusal
    this.asked.push(asked)
  }

  #find(id: string): ScriptedRun {
    const run = this.#runs.get(id)
    if (!run) throw new ParleyError('run_not_found')
    return run
  }
}

export class ScriptedRun {
  /** How many follow it at the moment. */
  readers = 0
  /** Whether following rejects with the signal's reason when it aborts, or ends. */
  rejectsWhenAborted = false
  #view: RunView
  #fault: Error | undefined
  #changed = Promise.withResolvers<void>()

  constructor(view: Partial<RunView>) {
    const at = Date.now()
    this.#view = {
      id: newId('run'),
      action: 'calculate',
      status: 'queued',
      version: 1,
      revision: 1,
      arguments: { expression: '6*7' },
      argumentsHash: 'a'.repeat(64),
      result: null,
      resultLeftOut: false,
      reason: null,
      message: null,
      owner: { id: 'caller', name: 'Caller' },
      specialist: null,
      conversation: null,
      turn: null,
      config: 'v001',
      approval: null,
      attempts: [],
      maxAttempts: 6,
      blockedBy: null,
      undoes: null,
      undoneBy: null,
      createdAt: at,
      updatedAt: at,
      settledAt: null,
      dueAt: null,
      ...view,
    }
  }

  get id(): string {
    return this.#view.id
  }

  /** As it stands; does not change any more once handed out. */
  get view(): RunView {
    return this.#view
  }

  change(to: Partial<RunView>): this {
    this.#view = { ...this.#view, version: this.#view.version + 1, ...to }
    return this.#wake()
  }

  settle(to: Partial<RunView> & Pick<RunView, 'status'>): this {
    return this.change({ settledAt: Date.now(), ...to })
  }

  /** Who follows it fails from here on. */
  fail(fault: Error): this {
    this.#fault = fault
    return this.#wake()
  }

  async *follow(signal: AbortSignal): AsyncGenerator<RunView> {
    const onAbort = () => this.#wake()
    signal.addEventListener('abort', onAbort)
    this.readers++
    try {
      for (let seen = -1; !signal.aborted; ) {
        if (this.#view.version > seen) {
          const view = this.#view
          seen = view.version
          yield view
          if (isSettled(view)) return
        } else if (this.#fault) throw this.#fault
        else await this.#changed.promise
      }
      if (this.rejectsWhenAborted) throw signal.reason
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.readers--
    }
  }

  #wake(): this {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
    return this
  }
}
