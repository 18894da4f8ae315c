import type { Addressee, RelayRequest } from '#chat/chat.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Answer, AnswerSink, FailureReason, Segment } from '#models/answer.ts'
import { encodeFrame } from '#models/encode-frame.ts'
import { ScriptedChat } from './scripted-chat.ts'

const addressees: readonly Addressee[] = [
  { name: 'plain', kind: 'specialist', opensTurn: false, actions: [], config: 'v001' },
  { name: 'helper', kind: 'specialist', opensTurn: true, actions: ['calculate'], config: 'v001' },
  { name: 'default', kind: 'route', opensTurn: false, actions: [], config: 'v001' },
]

/** A chat whose relays are played by hand; its turns are scripted. `helper` opens turns, `plain` and the route `default` do not. */
export class RelayingChat extends ScriptedChat {
  readonly relays: ScriptedRelay[] = []
  #waiting: (() => void)[] = []

  override addressee(model: string): Addressee {
    const found = addressees.find(({ name }) => name === model)
    if (!found) throw new ParleyError('model_not_found', { param: 'model' })
    return found
  }

  override addressees(): Addressee[] {
    return [...addressees]
  }

  override async relay(principal: Principal, request: RelayRequest, sink: AnswerSink): Promise<Answer> {
    if (this.refusal) throw this.refusal
    const relay = new ScriptedRelay(principal, request, sink)
    this.relays.push(relay)
    for (const wake of this.#waiting.splice(0)) wake()
    return relay.answer
  }

  /** Resolves with relay number `count` (from 1) once it was asked for. */
  async relayed(count: number): Promise<ScriptedRelay> {
    for (;;) {
      const relay = this.relays[count - 1]
      if (relay) return relay
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }
}

export class ScriptedRelay {
  readonly principal: Principal
  readonly request: RelayRequest
  readonly sink: AnswerSink
  /** What is held back at the moment, and how often it was. */
  paused = false
  pauses = 0
  readonly #end = Promise.withResolvers<Answer>()
  readonly #wire = { id: 'chatcmpl-scripted', created: 7, model: 'wire' }
  #text = ''

  constructor(principal: Principal, request: RelayRequest, sink: AnswerSink) {
    this.principal = principal
    this.request = request
    this.sink = sink
    sink.flow?.({
      pause: () => {
        this.paused = true
        this.pauses += 1
      },
      resume: () => {
        this.paused = false
      },
    })
    const { signal } = request.abort
    signal.addEventListener('abort', () => this.#end.reject(signal.reason), { once: true })
  }

  get answer(): Promise<Answer> {
    return this.#end.promise
  }

  speaker(name: string): this {
    const spec = {
      provider: 'offline',
      contextWindow: 1000,
      continuation: 'restart',
      price: { input: 0, output: 0 },
    } as const
    this.sink.speaker?.({ name, spec })
    return this
  }

  /** Bytes as they are. */
  frames(bytes: string | Buffer): this {
    this.sink.frames?.(Buffer.from(bytes))
    return this
  }

  /** A chunk each. */
  say(...pieces: string[]): this {
    for (const content of pieces) {
      this.#text += content
      this.frames(encodeFrame(this.#wire, { content }))
    }
    return this
  }

  seam(model: string, reason: FailureReason, reset = false): this {
    this.sink.seam({ model, reason, reset })
    return this
  }

  ended(segment: Partial<Segment> = {}): this {
    this.sink.ended({
      model: 'primary',
      provider: 'offline',
      inputTokens: 10,
      cachedTokens: 4,
      outputTokens: 5,
      costUsd: 0.001,
      estimated: false,
      outcome: 'completed',
      durationMs: 1,
      ...segment,
    })
    return this
  }

  /** The last chunk, the bill and the answer. */
  finish(answer: Partial<Answer> = {}): this {
    this.frames(encodeFrame(this.#wire, {}, answer.finish ?? 'stop')).ended()
    const defaults: Answer = { finish: 'stop', text: this.#text, toolCalls: [], model: 'primary', wire: this.#wire }
    this.#end.resolve({ ...defaults, ...answer })
    return this
  }

  fail(error: Error): this {
    this.#end.reject(error)
    return this
  }
}
