import type {
  Addressed,
  Addressee,
  Chat,
  ConversationRequest,
  RelayRequest,
  TurnRequest,
  TurnView,
} from '#chat/chat.ts'
import { isTerminal, type TurnEvent, type TurnEventType } from '#chat/turn-events.ts'
import type { Conversation } from '#conversations/conversations.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import type { Answer, AnswerSink } from '#models/answer.ts'

/** A chat whose turns say what a test makes them say: for the shapes and the faults of transports, without models or a store. */
export class ScriptedChat implements Chat {
  /** Every request that started a turn, in order. */
  readonly started: { request: TurnRequest; turn: ScriptedTurn }[] = []
  readonly cancelled: string[] = []
  /** What requests that addressed a model are counted as, in order. */
  readonly addressed: string[] = []
  /** What conversations were begun from. */
  readonly begun: ConversationRequest[] = []
  /** How many of the next conversations cannot be begun. */
  failingConversations = 0
  specialists: readonly string[] = ['plain', 'apollo', 'athena']
  /** The next calls of `start` are refused with this. */
  refusal: ParleyError | undefined
  readonly live = 0
  readonly #turns = new Map<string, ScriptedTurn>()
  readonly #keys = new Map<string, ScriptedTurn>()
  readonly #play: (turn: ScriptedTurn, request: TurnRequest) => void

  /** `play` is called with each turn that a request starts. */
  constructor(play: (turn: ScriptedTurn, request: TurnRequest) => void = () => {}) {
    this.#play = play
  }

  /** A turn that runs already. */
  open(view: Partial<TurnView> = {}): ScriptedTurn {
    const turn = new ScriptedTurn(view)
    this.#turns.set(turn.view.id, turn)
    return turn
  }

  async start(_principal: unknown, request: TurnRequest) {
    if (this.refusal) throw this.refusal
    const { idempotencyKey, message = '' } = request
    const earlier = idempotencyKey === undefined ? undefined : this.#keys.get(idempotencyKey)
    if (earlier) return { ...started(earlier), created: false }
    const turn = this.open(
      'conversation' in request.in
        ? { conversation: request.in.conversation, message }
        : { specialist: request.in.specialist },
    )
    if (idempotencyKey !== undefined) this.#keys.set(idempotencyKey, turn)
    this.started.push({ request, turn })
    this.#play(turn, request)
    return { ...started(turn), created: true }
  }

  read(_principal: unknown, id: string, after: number, signal: AbortSignal): AsyncIterable<readonly TurnEvent[]> {
    return this.#find(id).read(after, signal)
  }

  async get(_principal: unknown, id: string): Promise<TurnView> {
    return { ...this.#find(id).view }
  }

  async createConversation(_principal: unknown, from: ConversationRequest): Promise<Conversation> {
    if (this.failingConversations-- > 0) throw new ParleyError('state_unavailable')
    this.begun.push(from)
    const pinned = { config: from.version ?? 'v001', arm: 'stable' as const }
    const state = { createdAt: 1, updatedAt: 1, messages: 0, liveTurn: null, version: 1 }
    return { id: newId('conv'), specialist: from.specialist, title: from.title ?? null, ...pinned, ...state }
  }

  checkSpecialist(_principal: unknown, specialist: string): void {
    if (!this.specialists.includes(specialist)) throw new ParleyError('specialist_not_found')
  }

  async deleteConversation(): Promise<void> {
    throw new ParleyError('conversation_not_found')
  }

  async cancel(_principal: unknown, id: string): Promise<void> {
    if (this.#find(id).view.status !== 'running') throw new ParleyError('turn_finished')
    this.cancelled.push(id)
  }

  async feedback(_principal: unknown, id: string, feedback: NonNullable<TurnView['feedback']>): Promise<void> {
    const { view } = this.#find(id)
    if (view.status === 'running') throw new ParleyError('turn_running')
    view.feedback = feedback
  }

  addressee(_model: string): Addressee {
    throw new ParleyError('model_not_found')
  }

  addressees(): Addressee[] {
    return []
  }

  address(_principal: Principal, model: string): Addressed {
    const addressee = this.addressee(model)
    const { config } = addressee
    const unit = newId('turn')
    this.addressed.push(unit)
    return { ...addressee, served: { config, arm: 'stable', cohort: '', unit } }
  }

  relay(_principal: Principal, _request: RelayRequest, _sink: AnswerSink): Promise<Answer> {
    return Promise.reject(new ParleyError('model_not_found'))
  }

  async drain(): Promise<void> {}

  #find(id: string): ScriptedTurn {
    const turn = this.#turns.get(id)
    if (!turn) throw new ParleyError('turn_not_found')
    return turn
  }
}

function started({ view: { id, conversation, config, arm } }: ScriptedTurn) {
  return { id, conversation, config, arm }
}

export class ScriptedTurn {
  readonly view: TurnView
  /** How many read it at the moment. */
  readers = 0
  readonly #events: TurnEvent[] = []
  #fault: Error | undefined
  #changed = Promise.withResolvers<void>()

  constructor(view: Partial<TurnView>) {
    this.view = {
      id: newId('turn'),
      conversation: null,
      specialist: 'apollo',
      config: 'v001',
      arm: 'stable',
      message: '',
      status: 'running',
      text: '',
      position: -1,
      receipt: null,
      error: null,
      feedback: null,
      toolCalls: [],
      ...view,
    }
  }

  get id(): string {
    return this.view.id
  }

  emit(type: TurnEventType, data: object): this {
    this.view.position = this.#events.length
    this.#events.push({ position: this.view.position, type, data: JSON.stringify(data) })
    if ('text' in data) this.view.text += String(data.text)
    if (isTerminal(type)) this.view.status = type.slice('turn.'.length) as TurnView['status']
    if ('error' in data) this.view.error = data.error as TurnView['error']
    return this.#wake()
  }

  /** An event that the log does not have. */
  emitProvisional(type: TurnEventType, data: object): this {
    this.#events.push({ position: undefined, type, data: JSON.stringify(data) })
    return this.#wake()
  }

  /** Readers fail from here on. */
  fail(fault: Error): this {
    this.#fault = fault
    return this.#wake()
  }

  async *read(after: number, signal: AbortSignal): AsyncGenerator<readonly TurnEvent[]> {
    if (after > this.view.position) throw new ParleyError('bad_position')
    signal.addEventListener('abort', () => this.#wake(), { once: true })
    this.readers++
    try {
      for (let next = after + 1; !signal.aborted; ) {
        const events = this.#events.slice(next)
        next += events.length
        if (events.length > 0) yield events
        else if (this.#fault) throw this.#fault
        else if (this.view.status !== 'running') return
        else await this.#changed.promise
      }
    } finally {
      this.readers--
    }
  }

  #wake(): this {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
    return this
  }
}
