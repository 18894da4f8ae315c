import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Spans } from '#telemetry/spans.ts'
import type { Answer, AnswerRequest, AnswerSink, Candidate, FailureReason } from './answer.ts'
import { Attempt } from './attempt.ts'
import type { CallEnd, CallTimers } from './call.ts'
import { type CallSpan, openCallSpan } from './call-span.ts'
import { Choosing, type Turn } from './choosing.ts'
import { isFields } from './chunk-event.ts'
import type { Deployment } from './deployment.ts'
import { judgeRefusal } from './failures.ts'
import { type Consumption, meter, type TokenCounter } from './metering.ts'
import type { Provider } from './providers/provider.ts'
import type { ModelSpec } from './schema.ts'

export interface AnsweringOptions {
  providerFor(spec: ModelSpec): Provider
  deploymentOf(candidate: Candidate): Deployment
  counter: TokenCounter
  clock: Clock
  log: Log
  spans: Spans
}

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
  readonly #timers: CallTimers
  readonly #choosing: Choosing
  #attempt: Attempt | undefined
  /** The model that is asked, or about to be, and why it must not be. */
  #asked: string | undefined
  #veto: Error | undefined
  #visible: string
  /** Why the model that spoke last stopped. */
  #interruption: FailureReason = 'producer_lost'
  #brokeToolCall = false
  #paused = false
  #span: CallSpan | undefined
  #metered: Promise<void> = Promise.resolve()

  constructor(options: AnsweringOptions, request: AnswerRequest, sink: AnswerSink) {
    this.#options = options
    this.#request = request
    this.#sink = sink
    this.#visible = request.visible ?? ''
    const { connectTimeoutMs = 5000, firstTokenTimeoutMs = 20_000, stallTimeoutMs = 20_000 } = request.timers
    this.#timers = { connectTimeoutMs, firstTokenTimeoutMs, stallTimeoutMs }
    const route = request.candidates.map((candidate) => ({ candidate, deployment: options.deploymentOf(candidate) }))
    this.#choosing = new Choosing({ ...options, route, request, waitMs: firstTokenTimeoutMs })
  }

  async run(): Promise<Answer> {
    const { signal, vetoes } = this.#request
    signal.throwIfAborted()
    const abort = () => this.#attempt?.call.abort()
    signal.addEventListener('abort', abort, { once: true })
    const stopHearing = vetoes?.onChange(() => this.#look())
    this.#sink.flow?.({ pause: () => this.#pause(), resume: () => this.#resume() })
    try {
      for (;;) {
        if (!this.#canGoOn()) throw this.#choosing.failure(true)
        const answer = await this.#call(await this.#choosing.next(this.#visible))
        if (answer) return answer
      }
    } finally {
      signal.removeEventListener('abort', abort)
      stopHearing?.()
      await this.#metered
    }
  }

  #canGoOn(): boolean {
    const format = this.#request.parameters.response_format
    const isPlain = format === undefined || format === null || (isFields(format) && format.type === 'text')
    return !this.#brokeToolCall && (this.#visible === '' || isPlain)
  }

  async #call(turn: Turn): Promise<Answer | undefined> {
    const { deployment, permit, candidate } = turn
    const { mode, signal } = this.#request
    await this.#permitted(turn)
    const attempt = new Attempt({
      ...turn,
      mode,
      person: this.#request.person,
      sink: this.#sink,
      timers: this.#timers,
      clock: this.#options.clock,
      visible: this.#visible,
      interruption: this.#interruption,
    })
    this.#attempt = attempt
    this.#span = openCallSpan(this.#options.spans, candidate, this.#request.traceparent)
    if (this.#paused) attempt.call.pause()
    const ended = attempt.run(this.#options.providerFor(candidate.spec))
    // It may have been called off after the turn was given and before there was a call to abort.
    if (signal.aborted || this.#veto) attempt.call.abort()
    const end = await ended
    this.#attempt = undefined
    this.#asked = undefined
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
        throw signal.aborted ? signal.reason : this.#veto
      default:
        this.#callFailed(turn, attempt, end)
        return undefined
    }
  }

  /** Gives the turn back where the call must not be made. */
  async #permitted({ candidate, deployment, permit, messages, parameters }: Turn): Promise<void> {
    const { before, signal, vetoes } = this.#request
    if (!before && !vetoes) return
    this.#asked = candidate.name
    this.#veto = undefined
    try {
      this.#throwIfVetoed()
      await before?.(candidate, messages, parameters)
      signal.throwIfAborted()
      this.#throwIfVetoed()
    } catch (error) {
      deployment.breaker.neutral(permit)
      deployment.limiter.release()
      throw error
    }
  }

  #look(): void {
    const veto = this.#asked === undefined ? undefined : this.#request.vetoes?.of(this.#asked)
    if (!veto) return
    this.#veto = veto
    this.#attempt?.call.abort()
  }

  #throwIfVetoed(): void {
    this.#look()
    if (this.#veto) throw this.#veto
  }

  /** Throws when the request itself is at fault; otherwise another model may follow. */
  #callFailed(turn: Turn, attempt: Attempt, end: Extract<CallEnd, { kind: 'failed' | 'refused' }>): void {
    const { candidate, deployment, permit } = turn
    const { delivery } = attempt
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

    const cause = end.kind === 'refused' ? new Error(`The provider answered ${end.refusal.status}.`) : end.cause
    this.#choosing.failed(turn, reason, cause)
    // What a provider says within its stream may quote the conversation: only errors of ours and of the network are logged.
    const err = cause instanceof Error ? cause : undefined
    const asked = { ...this.#request.served, model: candidate.name, provider: candidate.spec.provider }
    this.#options.log.warn({ ...asked, reason, err }, 'A model failed')
    this.#brokeToolCall = delivery.brokeToolCall
    if (!delivery.spoke) return
    this.#visible = delivery.visible
    this.#interruption = reason
  }

  #meter(consumption: Consumption): void {
    const metered = meter(consumption, this.#options.counter)
    const span = this.#span
    this.#metered = this.#metered.then(async () => {
      const segment = await metered
      span?.(segment)
      this.#sink.ended(segment)
    })
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
