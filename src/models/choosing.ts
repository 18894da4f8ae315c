import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { AnswerRequest, ChatMessage, FailureReason } from './answer.ts'
import type { Permit } from './breaker.ts'
import { continuationMessages, continuationParameters, hasTokenLimit } from './continuation.ts'
import type { Deployment } from './deployment.ts'
import { exhausted } from './failures.ts'
import type { TokenCounter } from './metering.ts'
import { nextOption, type Option } from './selection.ts'

/** A candidate whose turn it is: a place among its calls is taken, its circuit gave leave, its prompt is made. */
export interface Turn extends Option {
  permit: Permit
  messages: readonly ChatMessage[]
  parameters: Readonly<Record<string, unknown>>
}

export interface ChoosingOptions {
  route: readonly Option[]
  request: Pick<AnswerRequest, 'parameters' | 'messages' | 'signal' | 'tenant'>
  /** How long all waiting for places may take. */
  waitMs: number
  counter: TokenCounter
  clock: Clock
  log: Log
}

/** Calls that wait for a deployment, where its config does not say. */
const QUEUE = 1000

/** Gives the candidates of one answer their turns, each once, and knows in the end why none is left. */
export class Choosing {
  readonly #options: ChoosingOptions
  readonly #tried = new Set<Option>()
  readonly #reasons: FailureReason[] = []
  #lastFailed: Deployment | undefined
  #cause: unknown
  #waitLeftMs: number
  #busy = false
  #overflow: unknown

  constructor(options: ChoosingOptions) {
    this.#options = options
    this.#waitLeftMs = options.waitMs
    options.route[0]?.deployment.retryBudget.deposit()
  }

  /** Who goes on from the text that is visible. Rejects when nobody can, or with the signal's reason. */
  async next(visible: string): Promise<Turn> {
    const { route, request } = this.#options
    const spentTokens = await this.#tokensSpent(visible)
    for (;;) {
      const choice = nextOption(route, this.#tried)
      if (!choice) throw this.failure(visible !== '')
      const { option, forced } = choice
      this.#tried.add(option)
      if (!(await this.#place(option))) continue
      let turn: Turn | undefined
      try {
        request.signal.throwIfAborted()
        turn = this.#take(option, forced, visible, spentTokens)
      } finally {
        if (!turn) option.deployment.limiter.release()
      }
      if (!turn) continue
      if (this.#lastFailed) this.#lastFailed.failovers += 1
      return turn
    }
  }

  /** The call of a turn failed for this reason, so the next one is an extra call. */
  failed({ deployment }: Turn, reason: FailureReason, cause: unknown): void {
    this.#reasons.push(reason)
    this.#lastFailed = deployment
    this.#cause = cause
  }

  /** The error of the whole answer; `interrupted`: something of it is out already. */
  failure(interrupted: boolean): unknown {
    const cause = this.#cause
    if (interrupted) return new ParleyError('model_interrupted', { cause })
    const cooling = this.#options.route.map(({ deployment }) => deployment.coolingMs).filter((ms) => ms > 0)
    return exhausted({
      reasons: this.#reasons,
      busy: this.#busy,
      coolingMs: cooling.length > 0 ? Math.min(...cooling) : undefined,
      overflow: this.#overflow,
      cause,
    })
  }

  /** Tokens of what is visible, where a limit has to be kept over all models together. */
  async #tokensSpent(visible: string): Promise<number> {
    const { request, counter } = this.#options
    return visible !== '' && hasTokenLimit(request.parameters) ? counter.countTokens(visible) : 0
  }

  async #place({ candidate, deployment }: Option): Promise<boolean> {
    const { concurrency = Number.POSITIVE_INFINITY, queue = QUEUE } = candidate.spec
    if (deployment.limiter.tryAcquire(concurrency)) return true
    const { clock, request } = this.#options
    const since = clock.monotonic()
    const place = { limit: concurrency, queue, tenant: request.tenant ?? '' }
    const acquired = await deployment.limiter.wait(place, this.#waitLeftMs, request.signal)
    this.#waitLeftMs -= clock.monotonic() - since
    this.#busy ||= !acquired
    return acquired
  }

  #take(option: Option, forced: boolean, visible: string, spentTokens: number): Turn | undefined {
    const { candidate, deployment } = option
    const permit = forced ? deployment.breaker.force() : deployment.breaker.admit()
    if (!permit) {
      // While it waited for its place the circuit has closed to it: another may be better now, or this one be forced.
      this.#tried.delete(option)
      return undefined
    }
    try {
      const { parameters, messages } = this.#options.request
      const how = visible === '' ? 'restart' : candidate.spec.continuation
      const turn = {
        ...option,
        permit,
        messages: continuationMessages(how, messages(candidate), visible),
        parameters: continuationParameters(how, parameters, spentTokens),
      }
      if (this.#lastFailed) this.#payExtraCall(visible)
      return turn
    } catch (thrown) {
      deployment.breaker.neutral(permit)
      if (!(thrown instanceof ParleyError) || thrown.code !== 'context_overflow') throw thrown
      this.#overflow = thrown
      return undefined
    }
  }

  #payExtraCall(visible: string): void {
    const { route, log } = this.#options
    if (route[0]?.deployment.retryBudget.withdraw()) return
    log.warn('The retry budget is used up')
    throw new ParleyError(visible === '' ? 'models_unavailable' : 'model_interrupted', { cause: this.#cause })
  }
}
