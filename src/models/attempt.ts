import type { Clock } from '#platform/clock.ts'
import type { Answer, AnswerRequest, AnswerSink, ChatMessage, FailureReason } from './answer.ts'
import type { Permit } from './breaker.ts'
import { type CallEnd, type CallListener, type CallTimers, ModelCall } from './call.ts'
import type { Piece } from './chunk-reader.ts'
import { Delivery } from './delivery.ts'
import type { Consumption } from './metering.ts'
import type { Provider } from './providers/provider.ts'
import type { Option } from './selection.ts'

export interface AttemptOptions extends Option {
  permit: Permit
  messages: readonly ChatMessage[]
  parameters: Readonly<Record<string, unknown>>
  mode: AnswerRequest['mode']
  person: string | undefined
  sink: AnswerSink
  timers: CallTimers
  clock: Clock
  /** What is visible already, and why the model that spoke last stopped. */
  visible: string
  interruption: FailureReason
}

/** One model's try at the answer: its call, what is shown of it, and what its deployment learns from it. */
export class Attempt implements CallListener {
  readonly call: ModelCall
  readonly delivery: Delivery
  readonly #options: AttemptOptions
  readonly #ended = Promise.withResolvers<CallEnd>()
  #accepted = false
  #firstTokenMs: number | undefined

  constructor(options: AttemptOptions) {
    const { mode, timers, clock, visible, interruption } = options
    this.#options = options
    this.call = new ModelCall(mode, timers, clock, this)
    this.delivery = new Delivery({ ...options, reader: this.call.reader, visible, reason: interruption })
  }

  /** Resolves with the end of the call. */
  run(provider: Provider): Promise<CallEnd> {
    const { candidate, deployment, messages, parameters, person } = this.#options
    deployment.calls += 1
    const body = { ...parameters, messages, stream: true, stream_options: { include_usage: true } }
    try {
      this.call.open(provider, { spec: candidate.spec, body, person })
    } catch (thrown) {
      this.call.failed('connect_failed', thrown)
    }
    return this.#ended.promise
  }

  started(): void {
    this.#accepted = true
    const { visible, sink, candidate } = this.#options
    if (visible === '') sink.speaker?.(candidate)
  }

  speaks(firstTokenMs: number): void {
    const { deployment, permit } = this.#options
    this.#firstTokenMs = firstTokenMs
    deployment.firstToken.add(firstTokenMs)
    deployment.breaker.speaks(permit)
  }

  piece(piece: Piece): void {
    this.delivery.piece(piece)
  }

  ended(end: CallEnd): void {
    this.#ended.resolve(end)
  }

  answer(): Answer {
    const { delivery } = this
    const { reader } = this.call
    const { candidate, clock } = this.#options
    const finish = finishOf(reader.finishReason, reader.toolCalls().length > 0)
    const { spec } = candidate
    const wire = reader.wire ?? {
      id: 'chatcmpl-unnamed',
      created: Math.floor(clock.now() / 1000),
      model: spec.deployment ?? spec.model ?? candidate.name,
    }
    const toolCalls = finish === 'tool_calls' ? reader.toolCalls() : []
    return new GivenAnswer({ finish, toolCalls, model: candidate.name, wire }, delivery)
  }

  consumption(outcome: Consumption['outcome'], reason: FailureReason | undefined): Consumption {
    const { candidate, messages, parameters } = this.#options
    const { reader, durationMs } = this.call
    return {
      candidate,
      outcome,
      reason,
      usage: reader.usage,
      accepted: this.#accepted,
      messages,
      tools: parameters.tools,
      output: () =>
        reader.text() +
        reader
          .toolCalls()
          .map((call) => `${call.name}${call.arguments}`)
          .join(''),
      firstTokenMs: this.#firstTokenMs,
      durationMs,
    }
  }
}

/**
 * The text is decoded when asked for: whoever relays bytes has no use for it. A class, since a getter of an object of its own makes
 * a hidden class each time, which keeps all that the getter can reach until the next major collection.
 */
class GivenAnswer implements Answer {
  readonly finish: Answer['finish']
  readonly toolCalls: Answer['toolCalls']
  readonly model: string
  readonly wire: Answer['wire']
  readonly #delivery: Delivery

  constructor({ finish, toolCalls, model, wire }: Omit<Answer, 'text'>, delivery: Delivery) {
    this.finish = finish
    this.toolCalls = toolCalls
    this.model = model
    this.wire = wire
    this.#delivery = delivery
  }

  get text(): string {
    return this.#delivery.visible
  }
}

/**
 * Where the caller demands a certain function, OpenAI finishes the call of it with `stop`; what other providers call
 * their reasons is read by what they stand for.
 */
function finishOf(reason: string | undefined, hasCalls: boolean): Answer['finish'] {
  if (reason === 'length' || reason === 'max_tokens') return 'length'
  if (reason === 'content_filter') return 'content_filter'
  return hasCalls ? 'tool_calls' : 'stop'
}
