import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Answer, AnswerRequest, AnswerSink, ChatMessage, FailureReason } from './answer.ts'
import { Attempt } from './attempt.ts'
import type { Permit } from './breaker.ts'
import type { CallEnd, CallTimers } from './call.ts'
import { isFields } from './chunk-event.ts'
import { continuationMessages, continuationParameters, hasTokenLimit } from './continuation.ts'
import type { Deployment } from './deployment.ts'
import { exhausted, judgeRefusal } from './failures.ts'
import { type Consumption, meter, type TokenCounter } from './metering.ts'
import type { Provider } from './providers/provider.ts'
import type { ModelSpec } from './schema.ts'
import { nextOption, type Option } from './selection.ts'

export interface AnsweringOptions {
  providerFor(spec: ModelSpec): Provider
  deploymentOf(spec: ModelSpec): Deployment
  counter: TokenCounter
  clock: Clock
  log: Log
}

/** A candidate whose turn it is: a place among its calls is taken, and its circuit gave leave. */
interface Turn extends Option {
  permit: Permit
  messages: readonly ChatMessage[]
  parameters: Readonly<Record<string, unknown>>
}

const DEFAULT_TIMERS: CallTimers = { connectTimeoutMs: 5000, firstTokenTimeoutMs: 20_000, stallTimeoutMs: 20_000 }

/**
 * One answer, by as many models as it takes, one after the other; none is asked twice, so nothing waits before a retry.
 *
 *   choosing  the next candidate that may be called → calling. None is left, or no extra call → failed.
 *   calling   it finished → answered. It was refused as invalid → failed. It failed → choosing, on top of what is
 *             visible by then; → failed, if that cannot be continued.
 *   answered, failed: each call is metered when it ends, beside whatever goes on; once all are, the answer settles.
 *
 * At any time the signal may abort: the call under way at once, and the answer with the signal's reason.
 */
export class Answering {
  readonly #options: AnsweringOptions
  readonly #request: AnswerRequest
  readonly #sink: AnswerSink
  readonly #route: readonly Option[]
  readonly #timers: CallTimers
  readonly #tried = new Set<Option>()
  /** Why the calls so far failed. */
  readonly #reasons: FailureReason[] = []
  #visible: string
  /** Why the model that spoke last stopped. */
  #interruption: FailureReason = 'producer_lost'
  #brokeToolCall = false
  #attempt: Attempt | undefined
  #failed: Deployment | undefined
  #waitedMs = 0
  #busy = false
  #overflow: unknown
  #cause: unknown
  #paused = false
  #metered: Promise<void> = Promise.resolve()

  constructor(options: AnsweringOptions, request: AnswerRequest, sink: AnswerSink) {
    const { deploymentOf } = options
    this.#options = options
    this.#request = request
    this.#sink = sink
    this.#route = request.candidates.map((candidate) => ({ candidate, deployment: deploymentOf(candidate.spec) }))
    this.#timers = { ...DEFAULT_TIMERS, ...request.timers }
    this.#visible = request.visible ?? ''
  }

  async run(): Promise<Answer> {
    const { signal } = this.#request
    signal.throwIfAborted()
    const abort = () => this.#attempt?.call.abort()
    signal.addEventListener('abort', abort, { once: true })
    this.#sink.flow?.({ pause: () => this.#pause(), resume: () => this.#resume() })
    this.#route[0]?.deployment.retryBudget.deposit()
    try {
      for (;;) {
        const answer = await this.#call(await this.#choose())
        if (answer) return answer
      }
    } finally {
      signal.removeEventListener('abort', abort)
      await this.#metered
    }
  }

  async #choose(): Promise<Turn> {
    if (!this.#canGoOn()) throw this.#failure()
    const spentTokens = await this.#spentTokens()
    for (;;) {
      const choice = nextOption(this.#route, this.#tried)
      if (!choice) throw this.#failure()
      const { option, forced } = choice
      this.#tried.add(option)
      if (!(await this.#place(option))) continue
      let turn: Turn | undefined
      try {
        this.#request.signal.throwIfAborted()
        turn = this.#take(option, forced, spentTokens)
        if (turn) return turn
      } finally {
        if (!turn) option.deployment.limiter.release()
      }
    }
  }

  #canGoOn(): boolean {
    const format = this.#request.parameters.response_format
    const isPlain = format === undefined || format === null || (isFields(format) && format.type === 'text')
    return !this.#brokeToolCall && (this.#visible === '' || isPlain)
  }

  /** Tokens of what is visible, where a limit has to be kept over all models together. */
  async #spentTokens(): Promise<number> {
    const { parameters, signal } = this.#request
    if (this.#visible === '' || !hasTokenLimit(parameters)) return 0
    const tokens = await this.#options.counter.countTokens(this.#visible)
    signal.throwIfAborted()
    return tokens
  }

  /** A place among the deployment's calls; waiting for places may take as long as a first token, all in all. */
  async #place({ candidate, deployment }: Option): Promise<boolean> {
    const { concurrency = Number.POSITIVE_INFINITY } = candidate.spec
    if (deployment.limiter.tryAcquire(concurrency)) return true
    const { clock } = this.#options
    const since = clock.monotonic()
    const leftMs = this.#timers.firstTokenTimeoutMs - this.#waitedMs
    const acquired = await deployment.limiter.wait(concurrency, leftMs, this.#request.signal)
    this.#waitedMs += clock.monotonic() - since
    if (!acquired) this.#busy = true
    return acquired
  }

  #take(option: Option, forced: boolean, spentTokens: number): Turn | undefined {
    const { candidate, deployment } = option
    const permit = forced ? deployment.breaker.force() : deployment.breaker.admit()
    if (!permit) {
      // While it waited for its place the circuit has closed to it: another may be better now, or this one be forced.
      this.#tried.delete(option)
      return undefined
    }
    try {
      const how = this.#visible === '' ? undefined : candidate.spec.continuation
      const { parameters, messages } = this.#request
      const turn = {
        ...option,
        permit,
        messages: how ? continuationMessages(how, messages(candidate), this.#visible) : messages(candidate),
        parameters: how ? continuationParameters(how, parameters, spentTokens) : parameters,
      }
      this.#payExtraCall()
      return turn
    } catch (thrown) {
      deployment.breaker.neutral(permit)
      if (!(thrown instanceof ParleyError) || thrown.code !== 'context_overflow') throw thrown
      this.#overflow = thrown
      return undefined
    }
  }

  #payExtraCall(): void {
    const isExtra = this.#failed !== undefined
    if (!isExtra || this.#route[0]?.deployment.retryBudget.withdraw()) return
    this.#options.log.warn('The retry budget is used up.')
    throw this.#visible === '' ? new ParleyError('models_unavailable', { cause: this.#cause }) : this.#failure()
  }

  async #call(turn: Turn): Promise<Answer | undefined> {
    const { providerFor, clock } = this.#options
    const { mode, signal } = this.#request
    const { deployment, permit } = turn
    if (this.#failed) this.#failed.failovers += 1
    const attempt = new Attempt({
      ...turn,
      mode,
      sink: this.#sink,
      timers: this.#timers,
      clock,
      visible: this.#visible,
      interruption: this.#interruption,
    })
    this.#attempt = attempt
    if (this.#paused) attempt.call.pause()
    const end = await attempt.run(providerFor(turn.candidate.spec))
    this.#attempt = undefined
    deployment.limiter.release()
    switch (end.kind) {
      case 'finished':
        deployment.breaker.success(permit)
        attempt.delivery.finish()
        this.#meter(attempt.consumption('completed', undefined))
        return attempt.answer()
      case 'cancelled':
        deployment.breaker.neutral(permit)
        this.#meter(attempt.consumption('cancelled', undefined))
        throw signal.reason
      default:
        this.#failedCall(turn, attempt, end)
        return undefined
    }
  }

  /** Throws when the request itself is at fault; otherwise another model may follow. */
  #failedCall(turn: Turn, attempt: Attempt, end: Exclude<CallEnd, { kind: 'finished' | 'cancelled' }>): void {
    const { candidate, deployment, permit } = turn
    const verdict = end.kind === 'refused' ? judgeRefusal(end.refusal) : end
    if (verdict.kind === 'rejected') {
      deployment.breaker.neutral(permit)
      this.#meter(attempt.consumption('failed', undefined))
      throw verdict.error
    }
    const reason = verdict.kind === 'rate_limited' ? 'rate_limited' : verdict.reason
    deployment.failed(reason)
    if (verdict.kind === 'rate_limited') {
      deployment.cool(verdict.coolMs)
      deployment.breaker.neutral(permit)
    } else {
      deployment.breaker.failure(permit)
    }
    this.#meter(attempt.consumption('failed', reason))
    this.#reasons.push(reason)
    this.#failed = deployment
    this.#cause = end.kind === 'refused' ? new Error(`The provider answered ${end.refusal.status}.`) : end.cause
    this.#brokeToolCall = attempt.delivery.brokeToolCall
    if (attempt.delivery.spoke) {
      this.#visible = attempt.delivery.visible
      this.#interruption = reason
    }
    const { provider } = candidate.spec
    // What a provider says within its stream may quote the conversation.
    const err = this.#cause instanceof Error ? this.#cause : undefined
    this.#options.log.warn({ model: candidate.name, provider, reason, err }, 'A model failed.')
  }

  #failure(): unknown {
    const cause = this.#cause
    if (this.#visible !== '' || this.#brokeToolCall) return new ParleyError('model_interrupted', { cause })
    const cooling = this.#route.map(({ deployment }) => deployment.coolingMs).filter((ms) => ms > 0)
    return exhausted({
      reasons: this.#reasons,
      busy: this.#busy,
      coolingMs: cooling.length > 0 ? Math.min(...cooling) : undefined,
      overflow: this.#overflow,
      cause,
    })
  }

  #meter(consumption: Consumption): void {
    const metered = meter(consumption, this.#options.counter)
    this.#metered = this.#metered.then(async () => this.#sink.ended(await metered))
  }

  #pause(): void {
    this.#paused = true
    this.#attempt?.call.pause()
  }

  #resume(): void {
    this.#paused = false
    this.#attempt?.call.resume()
  }
}
